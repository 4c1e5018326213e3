"""A case as others recorded it, read but not yet understood: what every shape is brought into before it is mapped.

Only data is read, nothing in it is ever run, and what is read is bounded: in files, in series, in points.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from evals.case import InvalidCase
from evals.importing.metric_names import MetricName
from graph.facts import FactValue
from graph.records import Alert
from tools.clients.prometheus import Series

MOST_BYTES = 64 * 1024 * 1024
"""Of one file."""
MOST_SERIES = 600
"""Of one case."""
MOST_POINTS = 1_440
"""Of one series: of a longer one, points evenly apart are taken."""
UNTOLD = datetime(2000, 1, 1, tzinfo=UTC)
"""When a case was that tells no time."""

Moment = Literal["worst", "last"]


@dataclass(frozen=True)
class Measured:
    """One series. `area` is where the foreign case had it: `cpu`, `cloudwatch` …"""

    area: str
    name: MetricName
    series: Series

    @property
    def labels(self) -> Mapping[str, str]:
        return self.name.labels


@dataclass(frozen=True)
class Piece:
    """Evidence in words: a table, an answer, a log."""

    area: str
    asked: str
    lines: tuple[str, ...]
    raw: str = ""


@dataclass(frozen=True)
class Asked:
    """The answer to a question that a tool of ours can be asked too. Params as a reasoner would give them."""

    tool: str
    params: Mapping[str, Any]
    text: str
    raw: str = ""
    facts: Mapping[str, FactValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Foreign:
    """One foreign case. `name` and `answers` may tell what was wrong: they go into `expected.yaml` alone."""

    name: str
    where: str
    """File, and place in it, for messages."""
    alerts: tuple[Alert, ...]
    received_at: datetime
    measured: tuple[Measured, ...] = ()
    pieces: tuple[Piece, ...] = ()
    asked: tuple[Asked, ...] = ()
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    """What was told in words that have a home of their own."""
    services: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    """Labels that the alerts lack, found elsewhere in the case: where to place it."""
    answers: tuple[str, ...] = ()
    """How the foreign case names what was wrong, the most exact first."""
    moment: Moment = "last"
    """Which values of a series count: the last ones; or the worst, where the window holds the whole of a trouble."""


def read_json(path: Path) -> Any:
    """Raises InvalidCase naming the file, and the line where it is broken."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidCase(f"{where}: line {error.lineno}: no valid JSON ({error.msg}); correct it there") from error
    except RecursionError as error:
        raise InvalidCase(f"{where}: nested too deeply to be read; flatten it") from error


def read_text(path: Path) -> str:
    """Raises InvalidCase for what is no regular file, too large or no text."""
    try:
        if not path.is_file():
            raise InvalidCase(f"{path}: no regular file; name a file that can be read")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise InvalidCase(f"{path}: {size} bytes; at most {MOST_BYTES} are read: split the file")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidCase(f"{path}: no UTF-8 text at byte {error.start}; convert it") from error
    except OSError as error:
        raise InvalidCase(f"{path}: {error.strerror}; name a file that can be read") from error


def files_of(folder: Path) -> Iterator[Path]:
    """The regular files right in the folder, by name; links that lead out of it are left alone."""
    home = folder.resolve()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.resolve().is_relative_to(home):
            yield path


def time_of(value: Any, where: str) -> datetime:
    """Seconds (or milliseconds) since the epoch, also as text, or ISO 8601; without a zone it is UTC."""
    try:
        if isinstance(value, bool):
            raise ValueError
        if isinstance(value, int | float) or (isinstance(value, str) and value.replace(".", "", 1).isdigit()):
            seconds = float(value)
            return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
        at = datetime.fromisoformat(str(value))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        wanted = "give seconds since the epoch or ISO 8601"
        raise InvalidCase(f"{where}: {str(value)[:60]!r} is no time; {wanted}") from error


def numbers_of(values: Any, where: str) -> list[float]:
    """NaN where there is no value. Raises InvalidCase naming the place of what is no number."""
    if not isinstance(values, list):
        raise InvalidCase(f"{where}: a list of numbers is wanted, not {type(values).__name__}")
    found = []
    for index, value in enumerate(values):
        try:
            if isinstance(value, bool | list | dict):
                raise ValueError
            found.append(float("nan") if value is None else float(value))
        except (ValueError, OverflowError) as error:
            raise InvalidCase(f"{where}.{index}: {str(value)[:40]!r} is no number; give one, or null") from error
    return found


def series_of(labels: Mapping[str, str], points: Sequence[tuple[datetime, float]]) -> Series:
    """Oldest first, each time once, no more than MOST_POINTS."""
    ordered = sorted(dict(points).items())
    stride = -(-len(ordered) // MOST_POINTS)
    return Series(dict(labels), tuple(ordered[-1::-stride][::-1]) if stride > 1 else tuple(ordered))
