"""Where a process can die: each durable write of a heal, numbered as they come, and what shall happen there."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

Side = Literal["before", "after"]
How = Literal["kill", "stop", "term"]

SIGNALS: dict[How, signal.Signals] = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "term": signal.SIGTERM}

AT_VARIABLE = "CHAOS_AT"
TRACE_VARIABLE = "CHAOS_TRACE"


@dataclass(frozen=True)
class Point:
    """One moment: before or after the `nth` time of what `event` names. `step`: what it is called in reports."""

    event: str
    side: Side
    nth: int
    step: str = ""

    def __str__(self) -> str:
        return f"{self.side} {self.step or self.event}" + (f" #{self.nth}" if self.nth > 1 and not self.step else "")

    @property
    def key(self) -> str:
        return f"{self.event}:{self.side}:{self.nth}"


def points_of(trace: list[str]) -> list[Point]:
    """The moments of a heal whose events were recorded as `event[:detail]`, in order: after each of them, and between
    a side effect and the writing down of its end."""
    found: list[Point] = []
    seen: dict[str, int] = {}
    for line in trace:
        event, _, detail = line.partition(":")
        seen[event] = seen.get(event, 0) + 1
        step = f"{event} {detail}".strip()
        if event == "finish":
            found.append(Point(event, "before", seen[event], "writing down the effect"))
        found.append(Point(event, "after", seen[event], step + (f" #{seen[event]}" if not detail else "")))
    return found
