"""What is drawn: series with the times that matter to them. JSON both ways, as it is kept when the incident is over."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Line(_Part):
    """One series: `points` are (seconds since the epoch, value), oldest first, all finite."""

    name: str
    points: tuple[tuple[float, float], ...]


class Graph(_Part):
    """One plot's content. Times are seconds since the epoch."""

    title: str
    query: str = ""
    lines: tuple[Line, ...] = ()
    comparison: str = ""
    threshold: float | None = None
    """The alert fires where a line `comparison` `threshold`."""
    start: float
    end: float
    firing: tuple[tuple[float, float], ...] = ()
    step: float = 0.0
    """Seconds between points where they are furthest apart; a longer pause is a gap."""
    problem: str = ""
    """Why there are no lines, in a sentence."""
    answered: bool = True
    """False where the same question may be answered later."""


class Graphs(_Part):
    """What is kept of one incident."""

    graphs: tuple[Graph, ...] = ()


class Mark(_Part):
    """One action of ours, at the time it began."""

    number: int
    at: float
    label: str
