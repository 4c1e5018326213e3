"""Whether a case gives its answer away: only `expected.yaml` may name a cause, the mechanism or a fault of the lab.

Telemetry is searched for names as programs spell them (`service_stopped`, `service-stopped`): in words, logs say such
things themselves ("No space left on device"), and that is evidence. What people write, `case.yaml` and the alert, is
searched for the answer in any spelling. Pure, but for `leaks_of`, which reads the folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agents import known_kinds
from evals.case import CALLS_FILE, Expected, InvalidCase, load_case
from evals.lab.faults import NAMES
from graph.kind import NO_FAULT, UNKNOWN_CAUSE
from tools.actions.sweeping import SWEEPS

ANSWER_FILE = "expected.yaml"
WRITTEN = ("case.yaml", "alert.json")
"""What people wrote, or wrote the rule for."""
PHRASES = frozenset({"no_space_left", "host_unreachable", "access_refused", "database_access_refused"})
"""In words, what kernels and servers say themselves."""
MEASURED = frozenset({*SWEEPS, "package_cache"})
"""What the disk source counts, each by its name, whatever fills the disk."""
_IN_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
"""Words of `service_oom_killed`, `ServiceOomKilled` and `OOMKilled` alike."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
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
    return leaks_in(files, case.expected, known_causes())


def known_causes() -> frozenset[str]:
    """Every cause that any agent declares."""
    return frozenset(cause.name for kind in known_kinds().values() for cause in kind.causes)


def leaks_in(
    files: Mapping[str, str],
    expected: Expected,
    causes: Iterable[str],
    faults: Iterable[str] = NAMES,
) -> tuple[Leak, ...]:
    """`files` are texts by their path in the case. The product's own facts are named whatever is wrong
    (`unit.oom_killed = 0`), so what follows a dot is no finding; a fact whose whole name is a cause's is one."""
    answer = frozenset({*expected.accepted_causes, expected.mechanism}) - {UNKNOWN_CAUSE}
    names = answer | frozenset(causes) | frozenset(faults) | {NO_FAULT}
    found = []
    for file, text in sorted(files.items()):
        patterns = {name: _pattern(name) for name in sorted(_wanted(file, names, answer, expected))}
        said = sorted(answer) if file in WRITTEN else []
        for number, line in enumerate(text.splitlines(), 1):
            spelled = {name: match.group(0) for name, pattern in patterns.items() if (match := pattern.search(line))}
            spelled |= {name: name.replace("_", " ") for name in said if name not in spelled and _says(line, name)}
            found += [Leak(file, number, name, how) for name, how in spelled.items()]
    return tuple(found)


def gives_away(text: str, expected: Expected) -> bool:
    """Whether a text that people wrote says the answer, in any spelling."""
    answer = {*expected.accepted_causes, expected.mechanism} - {UNKNOWN_CAUSE}
    return any(_says(text, name) for name in answer)


def without_names(text: str, causes: Iterable[str]) -> str:
    """The text with names of causes withheld, as programs spell them: what was found of earlier incidents may be what
    is wrong now."""
    return re.sub(
        "|".join(_spelled(name, "[_-]") for name in sorted(causes, key=len, reverse=True)), "[withheld]", text
    )


def _wanted(file: str, names: frozenset[str], answer: frozenset[str], expected: Expected) -> frozenset[str]:
    if file.startswith("recorded/"):
        names, answer = names - MEASURED, answer - MEASURED
    if file == "recorded/context.json":  # earlier attempts say what they took it for
        return answer
    if file == CALLS_FILE and "poisoned" in expected.traits:  # a poisoner names causes; the true one would be a leak
        return answer
    return names


def _says(line: str, name: str) -> bool:
    """Whether the words of the name stand in the line one after the other, joined in whatever way."""
    wanted = name.split("_")
    parts = _TOKEN.findall(line) if name in PHRASES else [line]
    return any(
        words[start : start + len(wanted)] == wanted
        for part in parts
        for words in [[word.lower() for word in _IN_WORDS.findall(part)]]
        for start in range(len(words) - len(wanted) + 1)
    )


def _pattern(name: str) -> re.Pattern[str]:
    """How the name must not be spelled in any file."""
    telling = len(name.split("_")) >= _TELLING_WORDS and name not in PHRASES
    return re.compile(_spelled(name, "[ _-]" if telling else "[_-]"))


def _spelled(name: str, separators: str) -> str:
    inside = separators.join(re.escape(word) for word in name.split("_"))
    return rf"(?<![A-Za-z0-9_.])(?i:{inside})(?![A-Za-z0-9_])"
