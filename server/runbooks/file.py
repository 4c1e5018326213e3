"""One runbook's file: opened without trust in what lies there, read to a limit, its front matter checked."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from agents.reasoning.text import clean, clip
from graph.kind import ResourceKind
from graph.records import IssueType
from server.settings_errors import ConfigError, known_instead, problems_of
from server.yaml_file import parse_yaml

MAX_BYTES = 64 * 1024
"""Of one file; what follows is not read."""
FRONT_MATTER_CHARS = 4_096
TITLE_CHARS = 120

_HEADING = re.compile(r"^#{1,6}[ \t]+(?P<title>.+?)[ \t#]*$", re.MULTILINE)
_WORD = re.compile(r"[^\s`'\"()\[\]{}<>,;!?*|=]+")
_PART = re.compile(r"[\w.@-]+")


class FrontMatter(BaseModel):
    """What a runbook may say about itself, all of it optional: a name or a list of names each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: tuple[str, ...] = ()
    issue_type: tuple[IssueType, ...] = ()
    causes: tuple[str, ...] = ()
    title: str = ""

    @field_validator("kind", "issue_type", "causes", mode="before")
    @classmethod
    def _one_or_many(cls, given: Any) -> Any:
        if given is None:
            return ()
        if isinstance(given, str):
            return (given,)
        if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
            raise ValueError("must be a name or a list of names")
        return given


@dataclass(frozen=True)
class Runbook:
    """A runbook ready to be chosen from. `name` is its path in the folder; `written` is all below the front matter, not
    to be shown; `words` are its words in lower case."""

    name: str
    path: Path
    """With symlinks followed."""
    title: str
    about: FrontMatter
    written: str
    words: frozenset[str]

    @cached_property
    def body(self) -> str:
        """What may be shown: redacted. Made for those that are chosen only, as it takes a while."""
        return clean(self.written).strip()


def read_runbook(file: Path, name: str, kinds: Mapping[str, ResourceKind]) -> Runbook:
    """Read the file, whose path has no symlink in it any more. Raises ConfigError with what is wrong with it."""
    text = _text(_bytes(file, name), name)
    front, body = _split(text, name)
    about = _front_matter(front, name, kinds)
    heading = _HEADING.search(body)
    title = about.title or (heading["title"] if heading else Path(name).stem)
    return Runbook(name, file, clip(title, TITLE_CHARS), about, body, words_of(body))


def words_of(text: str) -> frozenset[str]:
    """The words of a text in lower case: as they stand between spaces, and the parts between slashes and the like."""
    found = {word.strip(".:") for word in _WORD.findall(text.lower())}
    return frozenset(found | {part.strip(".") for word in found for part in _PART.findall(word)})


def _bytes(file: Path, name: str) -> bytes:
    """The first MAX_BYTES. Only of a regular file: a pipe would keep us waiting, a device have us do who knows what."""
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode):
            raise ConfigError(name, ["is no regular file: remove it"])
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(name, ["is no regular file: remove it"])
            return opened.read(MAX_BYTES)
    except OSError as error:
        raise ConfigError(name, [f"cannot be read: {error.strerror}"]) from error


def _text(content: bytes, name: str) -> str:
    try:
        # Not final: the limit may have cut a character in two.
        text = codecs.getincrementaldecoder("utf-8")().decode(content, final=len(content) < MAX_BYTES)
    except UnicodeDecodeError as error:
        raise ConfigError(name, [f"is not UTF-8 (byte {error.start}): save it as UTF-8"]) from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _split(text: str, name: str) -> tuple[str, str]:
    """Front matter and body; the first is empty where the file does not begin with `---`."""
    first, _, rest = text.partition("\n")
    if first.rstrip() != "---":
        return "", text
    end = re.compile(r"^---[ \t]*$", re.MULTILINE).search(rest, 0, FRONT_MATTER_CHARS)
    if end is None:
        remedy = f"end it by a line of --- within {FRONT_MATTER_CHARS} characters"
        raise ConfigError(name, [f"its front matter has no end: {remedy}"])
    return rest[: end.start()], rest[end.end() :]


def _front_matter(front: str, name: str, kinds: Mapping[str, ResourceKind]) -> FrontMatter:
    content = parse_yaml(f"\n{front}", name, aliases=False)  # the line of --- counts, as in an editor
    try:
        about = FrontMatter.model_validate(content)
    except ValidationError as error:
        raise ConfigError(name, [clip(problem, 300) for problem in problems_of(error, FrontMatter)]) from error
    causes = {cause.name for kind in kinds.values() for cause in kind.causes}
    problems = [*_unknown("kind", about.kind, kinds), *_unknown("causes", about.causes, causes)]
    if problems:
        raise ConfigError(name, problems)
    return about


def _unknown(key: str, given: Collection[str], known: Collection[str]) -> list[str]:
    return [
        f"{key}: unknown name {clip(name, 60)!r}{known_instead(name[:60], known)}"
        for name in given
        if name not in known
    ]
