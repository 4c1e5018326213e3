"""What shapes with a folder a case have in common: which folders there are, and how each names its answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from evals.case import InvalidCase
from evals.importing.foreign import Foreign, files_of, parse_json, read_text

MOST_FOLDERS = 5_000
_ANSWER_FILES = re.compile(r"(answer|expected|ground_?truth|solution|scenario|oracle|label)[^/]*", re.IGNORECASE)
_ANSWER_FIELDS = (
    "root_cause_category", "failure_mode", "root_cause", "cause", "answer", "expected", "expected_output", "label",
    "fault",
)  # fmt: skip


def case_folders(path: Path, named: str) -> list[Path]:
    """The folders that hold a file of that name: this one, or those within it. Links to elsewhere are not followed."""
    if (path / named).is_file():
        return [path]
    if not path.is_dir():
        return []
    home = path.resolve()
    found = (each.parent for each in sorted(path.glob(f"**/{named}")) if each.resolve().is_relative_to(home))
    folders = list(dict.fromkeys(found))
    if len(folders) > MOST_FOLDERS:
        raise InvalidCase(
            f"{path}: {len(folders)} cases; at most {MOST_FOLDERS} are imported at once: name a part of it"
        )
    return folders


def read_folders(path: Path, named: str, case: Callable[[Path, str], Foreign]) -> Iterator[Foreign | InvalidCase]:
    """What `case` makes of each folder and the name it goes by, or what is wrong with it. Raises InvalidCase where
    there is no such folder."""
    folders = case_folders(path, named)
    if not folders:
        raise InvalidCase(f"{path}: no folder with a {named} in it; name the folder of a case, or of several")
    for folder in folders:
        try:
            yield case(folder, folder.name if folder == path else folder.relative_to(path).as_posix())
        except InvalidCase as problem:
            yield problem


def is_answer(path: Path) -> bool:
    """Whether a file tells what was wrong: it is no evidence."""
    return bool(_ANSWER_FILES.fullmatch(path.name))


def answers_of(folder: Path) -> tuple[str, ...]:
    """How the case names what was wrong: what its answer files hold, then its own name."""
    return (*dict.fromkeys(answer for path in files_of(folder) if is_answer(path) for answer in _answers(path)),)


def _answers(path: Path) -> Iterator[str]:
    text = read_text(path)
    if path.suffix.lower() in (".txt", ".md", ""):
        yield text.strip()[:200]
        return
    try:
        told = parse_json(text, str(path)) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidCase(f"{path}: no valid YAML: {error}") from error
    yield from _named(told)


def _named(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told.strip()[:200]
    elif isinstance(told, list):
        yield from (str(item)[:200] for item in told if isinstance(item, str))
    elif isinstance(told, dict):
        for field in _ANSWER_FIELDS:
            if field in told:
                yield from _named(told[field])
