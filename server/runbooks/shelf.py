"""The folder of runbooks: read when asked, what has not changed only once, and never anything outside it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from agents.reasoning.lore import RunbookText
from agents.reasoning.text import clip
from graph.kind import ResourceKind
from graph.records import Incident
from server.runbooks.choosing import choose
from server.runbooks.file import Runbook, read_runbook
from server.settings_errors import ConfigError

MAX_FILES = 200
MAX_ENTRIES = 5_000
"""Of files and folders looked at: a setting that names the wrong folder must not have us read a whole disk."""
MAX_URLS = 10
MAX_URL_CHARS = 1_000
NAME_CHARS = 120

log = logging.getLogger("selfheal.runbooks")


@dataclass(frozen=True)
class Contents:
    """What the folder holds: what can be used, and what is wrong with the rest, each line naming file and key."""

    runbooks: tuple[Runbook, ...] = ()
    problems: tuple[str, ...] = ()


Known = Runbook | ConfigError
Stamp = tuple[int, ...]


class Shelf:
    """The runbooks of one folder, for one event loop. `kinds` are those that front matter may name."""

    def __init__(self, folder: Path, kinds: Mapping[str, ResourceKind]) -> None:
        self._folder = folder
        self._kinds = kinds
        self._known: dict[Path, tuple[Stamp, Known]] = {}
        self._said: frozenset[str] = frozenset()
        self._reading: asyncio.Future[Contents] | None = None

    async def relevant(self, incident: Incident, causes: Sequence[str], limit: int = 2) -> list[RunbookText]:
        """The runbooks about this incident, that of an alert's `runbook_url` first. Files are read in a thread."""
        if self._reading is None or self._reading.done():
            # One at a time: of a folder that hangs, no more than one thread shall be the victim.
            self._reading = asyncio.ensure_future(asyncio.to_thread(self._read_and_log))
        contents = await asyncio.shield(self._reading)
        if not contents.runbooks:
            return []
        return await asyncio.to_thread(
            lambda: choose(contents.runbooks, incident, causes, self._linked(incident), limit)
        )

    def read(self) -> Contents:
        """All runbooks, those that changed read anew. Raises nothing."""
        try:
            return self._read()
        except OSError as error:
            return Contents(problems=(f"{self._folder}: cannot be read: {error.strerror}",))

    def _read_and_log(self) -> Contents:
        """What is wrong is logged once, not for every heal."""
        contents = self.read()
        for problem in contents.problems:
            if problem not in self._said:
                log.warning("a runbook is left out: %s", problem)
        self._said = frozenset(contents.problems)
        return contents

    def _read(self) -> Contents:
        if not self._folder.is_dir():
            return Contents(problems=(f"{self._folder}: is no folder: correct `runbooks` in the configuration",))
        inside = self._folder.resolve()
        known: dict[Path, tuple[Stamp, Known]] = {}
        problems: list[str] = []
        for file in self._files(problems):
            name = clip(str(file.relative_to(self._folder)), NAME_CHARS)
            try:
                real = file.resolve(strict=True)
                if not real.is_relative_to(inside):
                    problems.append(f"{name}: leads out of {self._folder}: put the file itself there")
                    continue
                status = real.stat()
            except (OSError, RuntimeError):  # pathlib's word for a link that leads to itself
                problems.append(f"{name}: leads nowhere: remove it")
                continue
            if real in known:
                continue
            stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            before = self._known.get(real)
            known[real] = before if before and before[0] == stamp else (stamp, self._one(real, name))
        self._known = known
        found = [item for _, item in known.values()]
        problems += [
            f"{item.where}: {line}" for item in found if isinstance(item, ConfigError) for line in item.problems
        ]
        return Contents(tuple(item for item in found if isinstance(item, Runbook)), tuple(problems))

    def _one(self, file: Path, name: str) -> Known:
        try:
            return read_runbook(file, name, self._kinds)
        except ConfigError as error:
            return error

    def _files(self, problems: list[str]) -> Iterator[Path]:
        """The Markdown files, hidden ones and links to folders left out."""
        entries = files = 0
        for root, folders, names in os.walk(self._folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            entries += len(folders) + len(names)
            runbooks = sorted(name for name in names if name.endswith(".md") and not name.startswith("."))
            for name in runbooks[: MAX_FILES - files]:
                yield Path(root) / name
            files += len(runbooks)
            if files > MAX_FILES or entries > MAX_ENTRIES:
                read = min(files, MAX_FILES)
                told = f"only the first {read} runbooks are read: at most {MAX_FILES} among {MAX_ENTRIES} files"
                problems.append(f"{self._folder}: {told}")
                return

    def _linked(self, incident: Incident) -> list[Path]:
        """The files inside the folder that the alerts name, symlinks followed."""
        urls = dict.fromkeys(alert.annotations.get("runbook_url", "") for alert in reversed(incident.alerts))
        found = (linked(url, self._folder) for url in list(urls)[:MAX_URLS])
        return [file for file in found if file is not None]


def linked(url: str, folder: Path) -> Path | None:
    """The path inside the folder that a URL or path names, its symlinks followed; None for all else.

    An alert is a stranger's word: it opens nothing, but only points to one of the files that are read anyway. What it
    says is judged as text first, so that nothing outside is so much as looked at.
    """
    named = url
    if url.startswith("file://"):
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        if parts.netloc not in ("", "localhost"):
            return None
        named = unquote(parts.path)
    if not named or len(named) > MAX_URL_CHARS or "\0" in named or "://" in named:
        return None
    if ".." in PurePosixPath(named).parts:
        return None
    candidate = folder / named
    if not any(candidate.is_relative_to(base) for base in (folder, folder.resolve())):
        return None
    return Path(os.path.realpath(candidate))
