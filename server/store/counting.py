"""What there is and has been, in numbers: read at every scrape, so each is found by an index or kept as a total."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from server.store import deliveries, tallies
from server.store.base import StoreBase
from server.store.rows import stamp
from server.store.schema import approvals, incidents


class Counting(StoreBase):
    """The part of the store that is about numbers."""

    async def counts(self) -> dict[str, Any]:
        """What metrics tell of the store, the same for every process that asks."""
        now = stamp(self._now())
        return await self._db.read(lambda c: counts(c, now))

    async def add_up(self, amounts: Mapping[tallies.Tally, float]) -> None:
        """Add to totals what a process has counted by itself."""
        await self._db.write(lambda c: tallies.add_up(c, amounts))


def counts(connection: Connection, now: float) -> dict[str, Any]:
    """How many of what there are, and how many of what there have been."""
    phases = connection.execute(select(incidents.c.phase, func.count()).group_by(incidents.c.phase)).all()
    # By way of the incidents, of which few wait: old requests are many and have no index by state.
    asked = connection.execute(
        select(func.count(), func.min(approvals.c.asked_at))
        .select_from(incidents)
        .join(approvals, approvals.c.incident_id == incidents.c.id)
        .where(incidents.c.phase == "waiting_approval", approvals.c.state == "waiting")
    ).one()
    oldest = connection.execute(select(func.min(incidents.c.updated_at)).where(incidents.c.phase == "queued")).scalar()
    return {
        "phases": {phase: number for phase, number in phases},
        "approvals_waiting": asked[0],
        "oldest_approval_seconds": _age(asked[1], now),
        "oldest_queued_seconds": _age(oldest, now),
        "notifications": deliveries.waiting(connection, now),
        "totals": tallies.read(connection),
    }


def _age(since: float | None, now: float) -> float:
    return 0.0 if since is None else max(now - since, 0.0)
