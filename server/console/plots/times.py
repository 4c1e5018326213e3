"""From an incident's record the times that matter: the window to show, when its alerts fired, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.console.plots.model import Mark

BEFORE_SECONDS = 30 * 60
AFTER_SECONDS = 15 * 60
POINTS = 120
_LEAST_STEP = 1.0
_CLOSE_SECONDS = 60
"""How much around the incident itself is looked at closely."""


@dataclass(frozen=True)
class Window:
    """A range to ask for: seconds since the epoch, and between points."""

    start: float
    end: float
    step: float


@dataclass(frozen=True)
class Span:
    """The whole of what is shown, and the incident in it. `over`: nothing more of it is to come."""

    start: float
    end: float
    fired: float
    ended: float
    over: bool

    @property
    def windows(self) -> tuple[Window, ...]:
        """All of it, and where the incident is short, that closely: a fault of seconds falls between wide points."""
        close = (max(self.start, self.fired - _CLOSE_SECONDS), min(self.end, self.ended + _CLOSE_SECONDS))
        if close[1] - close[0] > (self.end - self.start) / 3:
            return (_window(self.start, self.end, POINTS),)
        return (_window(self.start, self.end, POINTS // 2), _window(*close, POINTS // 2))

    @property
    def step(self) -> float:
        return self.windows[0].step


def _window(start: float, end: float, points: int) -> Window:
    return Window(start, end, max(_LEAST_STEP, (end - start) / (points - 1)))


def span_of(record: Mapping[str, Any], now: datetime) -> Span:
    """From half an hour before the first alert fired to a quarter of an hour after the end, or to now."""
    fired = min(
        (at for alert in record["alerts"] if (at := seconds(alert.get("startsAt"))) is not None),
        default=seconds(record["received_at"]) or now.timestamp(),
    )
    fired = min(fired, now.timestamp())
    closed = seconds((record.get("times") or {}).get("closed")) if record.get("outcome") else None
    ended = now.timestamp() if closed is None else max(closed, fired)
    end = min(ended + AFTER_SECONDS, now.timestamp())
    over = closed is not None and ended + AFTER_SECONDS <= now.timestamp()
    return Span(fired - BEFORE_SECONDS, max(end, fired + 1), fired, ended, over)


def firing_of(alert: Mapping[str, Any], record: Mapping[str, Any], span: Span) -> tuple[float, float]:
    """From when to when the alert fired. Of one whose end was never told: until it was seen healthy, or the end."""
    began = seconds(alert.get("startsAt")) or span.fired
    ends = seconds(alert.get("endsAt")) if alert.get("status") == "resolved" else None
    if ends is None:
        mitigated = (record.get("outcome") or {}).get("status") == "mitigated"
        ends = seconds((record.get("times") or {}).get("verified")) if mitigated else None
    return began, min(max(ends if ends is not None else span.end, began), span.end)


def marks_of(record: Mapping[str, Any], span: Span) -> tuple[Mark, ...]:
    """The actions that were begun, numbered in their order."""
    begun = [(at, action) for action in record["actions"] if (at := seconds(action["started_at"])) is not None]
    return tuple(
        Mark(number=number, at=at, label=f"{'undo: ' if action['undo'] else ''}{action['rendered']}"[:300])
        for number, (at, action) in enumerate(begun, 1)
        if span.start <= at <= span.end
    )


def seconds(text: str | None) -> float | None:
    """Of an ISO time."""
    return None if not text else datetime.fromisoformat(text).timestamp()
