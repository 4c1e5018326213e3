"""What is asked of the store to tell people: what is due, how it went, and that somebody has taken note."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from server.store import calling, deliveries, notices
from server.store.base import StoreBase
from server.store.deliveries import Delivery, Telling
from server.store.notices import Notice
from server.store.who import Who


class Outgoing(StoreBase):
    """Notices on their way out, and acknowledgements on their way in."""

    async def due_notices(self) -> list[Notice]:
        """What nobody has been told yet."""
        now = self._now()
        return await self._db.read(lambda c: notices.due(c, now))

    async def settle_notices(self, telling: Telling) -> list[Mapping[str, Any]]:
        """Settle who is told what is new, whom chains call next, and digests. Returns what is new, a few at
        a time: ask again until there is none."""
        now = self._now()
        if not await self._db.read(lambda c: calling.waits(c, telling, now)):
            return []
        return await self._db.write(lambda c: calling.settle(c, telling, now))

    async def targets_due(self) -> list[str]:
        """The targets that something waits for."""
        now = self._now()
        return await self._db.read(lambda c: deliveries.targets_due(c, now))

    async def claim_deliveries(self, telling: Telling, target: str) -> list[Delivery]:
        """What to send to a target now; only one may ask for a target at a time."""
        now = self._now()
        return await self._db.write(lambda c: deliveries.claim(c, telling, target, now))

    async def delivered(self, delivery_id: int) -> None:
        now = self._now()
        await self._db.write(lambda c: deliveries.sent(c, delivery_id, now))

    async def not_delivered(self, delivery_id: int, next_at: datetime | None, problem: str) -> None:
        """It is tried again then; None: it is given up."""
        await self._db.write(lambda c: deliveries.failed(c, delivery_id, next_at, problem))

    async def postpone_deliveries(self, target: str, until: datetime) -> None:
        """A target takes nothing now."""
        await self._db.write(lambda c: deliveries.postpone(c, target, until))

    async def acknowledge(self, incident_id: str, by: Who | str, comment: str = "") -> str:
        """Take note of an escalation or a wanted approval: nobody else is called. Raises NotFound, Conflict."""
        now, who = self._now(), Who.of(by)
        said = await self._db.write(lambda c: calling.acknowledge(c, incident_id, who, comment, now))
        self._changed(incident_id)
        return said
