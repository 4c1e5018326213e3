"""What models may cost: calls and tokens, per incident and per day (UTC), counted before each call.

Kept in memory, per process: a restart forgets what was spent, and two processes each have the whole budget.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from agents.reasoning.failures import BudgetExceeded
from graph.records import utc_now

MAX_INCIDENTS = 2_000
"""Incidents remembered; the longest unused is forgotten first."""
CHARS_PER_TOKEN = 4
"""For answers without usage, so that a server that tells none is not free of any budget."""


@dataclass(frozen=True)
class Usage:
    """What was spent. `unreported_calls` told no token counts: theirs are estimated from the length of the text."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unreported_calls: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def plus(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.unreported_calls + other.unreported_calls,
        )


def usage_of(reported: tuple[int, int] | None, asked: str, answered: str) -> Usage:
    """One call's usage from (input, output) tokens, or estimated from the texts where the server told none."""
    if reported is not None:
        return Usage(1, *reported)
    return Usage(1, len(asked) // CHARS_PER_TOKEN, len(answered) // CHARS_PER_TOKEN, unreported_calls=1)


@dataclass(frozen=True)
class BudgetLimits:
    """None: no limit."""

    incident_calls: int | None = 24
    incident_tokens: int | None = 100_000
    day_calls: int | None = 1_000
    day_tokens: int | None = 4_000_000


class Budget:
    """Counts usage and refuses the call that comes when a limit is reached."""

    def __init__(self, limits: BudgetLimits | None = None, now: Callable[[], datetime] = utc_now) -> None:
        self.limits = limits or BudgetLimits()
        self._now = now
        self._incidents: OrderedDict[str, Usage] = OrderedDict()
        self._day: date = self._today()
        self._spent_today = Usage()

    def reserve(self, incident_id: str) -> None:
        """Count one call of this incident. Raises BudgetExceeded, having counted nothing, where a limit is reached."""
        limits, spent, today = self.limits, self.spent(incident_id), self.spent_today()
        _within("incident", "calls", spent.calls, limits.incident_calls)
        _within("incident", "tokens", spent.tokens, limits.incident_tokens)
        _within("day", "calls", today.calls, limits.day_calls)
        _within("day", "tokens", today.tokens, limits.day_tokens)
        self._add(incident_id, Usage(calls=1))

    def record(self, incident_id: str, usage: Usage) -> None:
        """Add the tokens of a call that `reserve` has counted."""
        self._add(incident_id, replace(usage, calls=0))

    def spent(self, incident_id: str) -> Usage:
        return self._incidents.get(incident_id, Usage())

    def spent_today(self) -> Usage:
        if (today := self._today()) != self._day:
            self._day, self._spent_today = today, Usage()
        return self._spent_today

    def _add(self, incident_id: str, usage: Usage) -> None:
        self._spent_today = self.spent_today().plus(usage)
        self._incidents[incident_id] = self.spent(incident_id).plus(usage)
        self._incidents.move_to_end(incident_id)
        while len(self._incidents) > MAX_INCIDENTS:
            self._incidents.popitem(last=False)

    def _today(self) -> date:
        return self._now().astimezone(UTC).date()


def _within(scope: str, unit: str, spent: int, limit: int | None) -> None:
    if limit is not None and spent >= limit:
        raise BudgetExceeded(f"budget of {limit} {unit} per {scope} is spent ({spent})")
