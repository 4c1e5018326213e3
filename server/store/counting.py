"""What there is and has been, in numbers: read at every scrape, so each is found by an index or kept as a total."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select, text

from server.store import deliveries, tallies
from server.store.base import StoreBase
from server.store.rows import stamp
from server.store.schema import approvals, incidents
from server.store.workers import alive_by_role

CLOSED_SECONDS = 60.0
OPEN = ("queued", "running", "waiting", "waiting_approval", "escalated", "declined", "taken_over")


class Counting(StoreBase):
    """The part of the store that is about numbers."""

    _closed: tuple[float, int] = (-CLOSED_SECONDS, 0)
    """When closed incidents were last counted, and how many they were."""

    async def counts(self) -> dict[str, Any]:
        """What metrics tell of the store, the same for every process that asks; closed incidents as of a minute ago."""
        now = stamp(self._now())
        if not 0 <= now - self._closed[0] < CLOSED_SECONDS:
            self._closed = (now, await self._db.read(closed))
        counted = await self._db.read(lambda c: counts(c, now))
        counted["phases"]["closed"] = self._closed[1]
        return counted

    async def add_up(self, amounts: Mapping[tallies.Tally, float]) -> None:
        """Add to totals what a process has counted by itself."""
        await self._db.write(lambda c: tallies.add_up(c, amounts))


def closed(connection: Connection) -> int:
    """How many incidents are over: nearly all there are, and no index spares counting them one by one."""
    return connection.execute(select(func.count()).where(incidents.c.phase == "closed")).scalar_one()


def counts(connection: Connection, now: float) -> dict[str, Any]:
    """How many of what is open there is, and how many of what there have been."""
    phases = connection.execute(
        select(incidents.c.phase, func.count()).where(incidents.c.phase.in_(OPEN)).group_by(incidents.c.phase)
    ).all()
    # A literal, as SQLite does not see from a parameter that the index of what waits will do.
    asked = connection.execute(
        select(func.count(), func.min(approvals.c.asked_at)).where(approvals.c.state == text("'waiting'"))
    ).one()
    oldest = connection.execute(select(func.min(incidents.c.updated_at)).where(incidents.c.phase == "queued")).scalar()
    return {
        "phases": {phase: number for phase, number in phases},
        "approvals_waiting": asked[0],
        "oldest_approval_seconds": _age(asked[1], now),
        "oldest_queued_seconds": _age(oldest, now),
        "notifications": deliveries.waiting(connection, now),
        "workers": alive_by_role(connection, now),
        "totals": tallies.read(connection),
    }


def _age(since: float | None, now: float) -> float:
    return 0.0 if since is None else max(now - since, 0.0)
