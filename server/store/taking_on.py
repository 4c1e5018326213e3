"""The store's part for what comes in: alerts are taken on, and it is told whether they storm in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from graph.records import AlertGroup
from server.store import accepting
from server.store.accepting import Accepted, Arrival, Place
from server.store.base import StoreBase
from server.store.engine import Database
from server.store.fleet import FleetRules
from server.store.gathering import Gathering
from server.store.legs import Leg
from server.store.storm_verbs import Storms


class TakingOn(StoreBase):
    """See `Store`."""

    storms: Storms

    def __init__(self, database: Database, now: Callable[[], datetime], rules: FleetRules) -> None:
        super().__init__(database, now, rules)
        self._gathering = Gathering(database, self.time, self._changed)
        self._gathering.also = self._noticed

    async def accept(
        self, group: AlertGroup, place: Place, max_queued: int = 10_000, within: float = math.inf
    ) -> list[Accepted]:
        """Take on alerts that were cleaned, one answer each, durable on return. Raises Overloaded, StoreBusy: nothing
        was taken on; and TimeoutError after `within` seconds."""
        accepted = await self._gathering.accept(Arrival(group, place, max_queued), within)
        for incident_id in {item.incident_id for item in accepted if item.incident_id}:
            self._changed(incident_id)
        return accepted

    def _noticed(self, connection: Connection, accepted: Sequence[Accepted], now: datetime) -> list[str]:
        """Whether many resources fail together. The storms are another part's; see `Store`."""
        return self.storms.noticed(connection, accepted, now)

    @property
    def storming(self) -> bool:
        """Whether alerts come in at such a rate that heals should let them go first."""
        return self._gathering.pressure.high

    async def open_held(self, group: AlertGroup, place: Place, holder: str, lease_seconds: float) -> Leg:
        """Open an incident and take its first leg at once, for a heal that is driven by hand. Raises CannotOpen."""
        now = self._now()
        leg = await self._db.write(lambda c: accepting.open_held(c, group, place, now, holder, lease_seconds))
        self._changed(leg.incident.id)
        return leg
