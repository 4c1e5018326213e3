"""A table as HTML and Markdown both draw it: so that neither can say what the other does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evals.report.rates import Rate

Tone = Literal["", "good", "bad", "ask", "dim"]


@dataclass(frozen=True)
class Cell:
    """`name`: words of a case or a model, shown as they stand. `rate` is drawn beside the text where that can be."""

    text: str
    tone: Tone = ""
    name: bool = False
    rate: Rate | None = None
    case_id: str = ""
    """The case it leads to."""


@dataclass(frozen=True)
class Table:
    """`empty` is what is said in place of a table without rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    empty: str = "Nothing to show."
    about: str = ""
    """What it is about, where that is a name: shown behind the title, as it stands."""
    matrix: bool = False
    """Its columns are names too, and many."""


def named(text: str) -> Cell:
    return Cell(text, name=True)


def rated(rate: Rate) -> Cell:
    return Cell(str(rate), rate=rate if rate.cases else None, tone="" if rate.cases else "dim")


def counted(count: int, bad: bool = False) -> Cell:
    """A number of things; where they are bad, none is good."""
    return Cell(str(count), tone=("bad" if count else "good") if bad else "")


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
