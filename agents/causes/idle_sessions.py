"""Ending sessions that are idle inside a transaction, on any engine: never those that have only just paused."""

from __future__ import annotations

from graph.facts import Facts
from graph.kind import Remedy
from graph.records import PlanStep, Resource

IDLE_SECONDS = 10
"""Who has been idle inside a transaction for less is left alone."""


def _end_idle(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    seconds = facts.value("db.idle_seconds")
    young = IDLE_SECONDS - int(seconds) if isinstance(seconds, int | float) else 0
    wait = PlanStep(
        action="wait",
        params={"seconds": young + 1, "until": "elapsed"},
        why="only who is idle for long is ended",
        expect="those at work have ended by themselves",
    )
    step = PlanStep(
        action="end_idle_sessions",
        params={"min_seconds": IDLE_SECONDS},
        why="they hold connections and do nothing",
        expect="there is room for those who work",
    )
    return (wait, step) if young > 0 else (step,)


END_IDLE = Remedy(
    "end_idle_sessions", "end sessions idle inside a transaction", _end_idle, ("wait", "end_idle_sessions")
)
