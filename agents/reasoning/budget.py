"""What models may cost: calls and tokens, per incident and per day (UTC), looked up before each call.

Counted in the ledger, so that a restart forgets nothing and all processes share one budget; calls that are under way
are counted here, as the ledger does not know them yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from agents.reasoning.failures import BudgetExceeded, ReasonerFailed
from agents.reasoning.ledger import Ledger, MemoryLedger
from graph.records import utc_now


@dataclass(frozen=True)
class BudgetLimits:
    """None: no limit."""

    incident_calls: int | None = 24
    incident_tokens: int | None = 100_000
    day_calls: int | None = 1_000
    day_tokens: int | None = 4_000_000


class Budget:
    """Refuses the call that comes when a limit is reached."""

    def __init__(
        self,
        limits: BudgetLimits | None = None,
        ledger: Ledger | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.limits = limits or BudgetLimits()
        self.ledger = ledger or MemoryLedger()
        self._now = now
        self._under_way: Counter[str] = Counter()
        self._off_record: Counter[str] = Counter()
        """Calls that the ledger could not take: they count all the same."""

    async def check(self, incident_id: str) -> None:
        """Raises BudgetExceeded where a limit is reached, and ReasonerFailed where nobody can say."""
        midnight = self._now().replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            spent, today = await self.ledger.spent(incident_id), await self.ledger.spent_since(midnight)
        except Exception as error:  # whatever the store comes up with: what can't be counted is not spent
            raise ReasonerFailed(f"the budget can't be read: {type(error).__name__}") from error
        limits = self.limits
        _within("incident", "calls", spent.calls + self._unknown_to_ledger(incident_id), limits.incident_calls)
        _within("incident", "tokens", spent.tokens, limits.incident_tokens)
        _within("day", "calls", today.calls + self._under_way.total() + self._off_record.total(), limits.day_calls)
        _within("day", "tokens", today.tokens, limits.day_tokens)

    def off_record(self, incident_id: str) -> None:
        """Count a call that could not be put on record, until this process ends."""
        self._off_record[incident_id] += 1

    def _unknown_to_ledger(self, incident_id: str) -> int:
        return self._under_way[incident_id] + self._off_record[incident_id]

    @contextmanager
    def call(self, incident_id: str) -> Iterator[None]:
        """Within, one more call of the incident is under way."""
        self._under_way[incident_id] += 1
        try:
            yield
        finally:
            self._under_way[incident_id] -= 1
            if not self._under_way[incident_id]:
                del self._under_way[incident_id]


def _within(whose: str, what: str, spent: int, limit: int | None) -> None:
    if limit is not None and spent >= limit:
        raise BudgetExceeded(f"budget of {limit} {what} per {whose} is spent ({spent})")
