"""Whether a case gives its answer away: only `expected.yaml` may name a cause, the mechanism or a fault of the lab.

Telemetry is searched for names as programs spell them (`service_stopped`, `service-stopped`): in words, logs say such
things themselves ("No space left on device"), and that is evidence. What people write, `case.yaml` and the alert, is
searched for the answer in any spelling. Pure, but for `leaks_of`, which reads the folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agents import known_kinds
from evals.case import CALLS_FILE, Expected, InvalidCase, load_case
from evals.lab.faults import NAMES
from graph.facts import parse_key
from graph.kind import NO_FAULT, UNKNOWN_CAUSE

ANSWER_FILE = "expected.yaml"
WRITTEN = ("case.yaml", "alert.json")
"""What people wrote, or wrote the rule for."""
PHRASES = frozenset({"no_space_left", "host_unreachable", "access_refused", "database_access_refused"})
"""In words, what kernels and servers say themselves."""
_TELLING_WORDS = 3
"""So many words in this very order are no accident in telemetry."""


@dataclass(frozen=True)
class Leak:
    """A name that is where it must not be."""

    file: str
    line: int
    name: str
    spelled: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.spelled!r} gives {self.name} away; only {ANSWER_FILE} may say it"


def leaks_of(folder: Path) -> tuple[Leak, ...]:
    """What the files of a case give away. Raises InvalidCase."""
    case = load_case(folder)
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / ANSWER_FILE:
            try:
                files[str(path.relative_to(folder))] = path.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidCase(f"{path}: can't be read as text: {error}") from error
    own = {name for call in case.calls for name in map(_name_of, call.facts)}
    return leaks_in(files, case.expected, known_causes(), fact_names=own)


def known_causes() -> frozenset[str]:
    """Every cause that any agent declares."""
    return frozenset(cause.name for kind in known_kinds().values() for cause in kind.causes)


def leaks_in(
    files: Mapping[str, str],
    expected: Expected,
    causes: Iterable[str],
    faults: Iterable[str] = NAMES,
    fact_names: Iterable[str] = (),
) -> tuple[Leak, ...]:
    """`files` are texts by their path in the case. A fact is named by the product (`unit.oom_killed`), so its name is
    no finding, unless it is a cause's whole name."""
    answer = frozenset({*expected.accepted_causes, expected.mechanism}) - {UNKNOWN_CAUSE}
    names = answer | frozenset(causes) | frozenset(faults) | {NO_FAULT}
    known = sorted({name for name in fact_names if "." in name}, key=len, reverse=True)
    kept = re.compile("|".join(rf"(?<![\w.]){re.escape(name)}(?![\w.])" for name in known)) if known else None
    found = []
    for file, text in sorted(files.items()):
        wanted = _wanted(file, names, answer, expected)
        shown = {name: pattern for name in sorted(wanted) if (pattern := _pattern(file, name, name in answer))}
        for number, line in enumerate(text.splitlines(), 1):
            bare = kept.sub("", line) if kept else line
            found += [Leak(file, number, name, spelled) for name, spelled in _found(bare, shown)]
    return tuple(found)


def gives_away(text: str, expected: Expected) -> bool:
    """Whether a text that people wrote says the answer, in any spelling."""
    answer = {*expected.accepted_causes, expected.mechanism} - {UNKNOWN_CAUSE}
    return any(_pattern(WRITTEN[0], name, True).search(text) for name in answer)


def without_names(text: str, causes: Iterable[str]) -> str:
    """The text with names of causes withheld, as programs spell them: what was found of earlier incidents may be what
    is wrong now."""
    return re.sub(
        "|".join(_spelled(name, "[_-]") for name in sorted(causes, key=len, reverse=True)), "[withheld]", text
    )


def _wanted(file: str, names: frozenset[str], answer: frozenset[str], expected: Expected) -> frozenset[str]:
    if file == "recorded/context.json":  # earlier attempts say what they took it for
        return answer
    if file == CALLS_FILE and "poisoned" in expected.traits:  # a poisoner names causes; the true one would be a leak
        return answer
    return names


def _found(line: str, patterns: Mapping[str, re.Pattern[str]]) -> Iterator[tuple[str, str]]:
    for name, pattern in patterns.items():
        if match := pattern.search(line):
            yield name, match.group(0)


def _pattern(file: str, name: str, is_answer: bool) -> re.Pattern[str]:
    """How the name must not be spelled in this file."""
    words = len(name.split("_"))
    separators = "[_-]"
    if file in WRITTEN and is_answer:
        separators = "[_-]?" if name in PHRASES else "[ _-]?"
    elif words >= _TELLING_WORDS and name not in PHRASES:
        separators = "[ _-]"
    return re.compile(_spelled(name, separators))


def _spelled(name: str, separators: str) -> str:
    inside = separators.join(re.escape(word) for word in name.split("_"))
    return rf"(?<![A-Za-z0-9_])(?i:{inside})(?![A-Za-z0-9_])"


def _name_of(key: str) -> str:
    try:
        return parse_key(key)[0]
    except ValueError:
        return json.dumps(key)
