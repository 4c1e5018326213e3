"""The plots of incidents that are over, kept as they were: Prometheus forgets its series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select

from server.store.engine import Database
from server.store.recalling import pack_of
from server.store.rows import stamp, upsert
from server.store.schema import incidents, past_heals
from server.store.telling_tables import plots

ENDED = ("closed", "escalated", "declined")


class Plots:
    """The part of the store that is about plots."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._db = database
        self._now = now

    async def of(self, incident_id: str, since: float) -> Mapping[str, Any] | None:
        """What was kept at `since` (seconds since the epoch) or later."""
        query = select(plots.c.body).where(plots.c.incident_id == incident_id, plots.c.at >= since)

        def read(connection: Connection) -> Mapping[str, Any] | None:
            if (found := connection.execute(query).scalar()) is not None:
                return dict(found)
            packed = pack_of(connection, incident_id).get("plots")
            return packed["body"] if packed and packed["at"] >= since else None

        return await self._db.read(read)

    async def keep(self, incident_id: str, body: Mapping[str, Any]) -> None:
        values = {"incident_id": incident_id, "at": stamp(self._now()), "body": dict(body)}
        await self._db.write(lambda c: upsert(c, plots, values, ("incident_id",)))

    async def missing(self, quiet_seconds: float, young_seconds: float, limit: int) -> list[str]:
        """Incidents that ended so long ago and not longer, and have none yet."""
        now = stamp(self._now())
        ended = past_heals.c.closed_at
        query = (
            select(incidents.c.id)
            .join(past_heals, past_heals.c.incident_id == incidents.c.id)
            .outerjoin(plots, plots.c.incident_id == incidents.c.id)
            .where(
                incidents.c.phase.in_(ENDED),
                ended <= now - quiet_seconds,
                ended > now - young_seconds,
                or_(plots.c.incident_id.is_(None), plots.c.at < ended),
            )
            .order_by(incidents.c.number)
            .limit(limit)
        )
        return list(await self._db.read(lambda c: c.execute(query).scalars().all()))
