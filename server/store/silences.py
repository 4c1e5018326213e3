"""The silences that were put while repairing: on record, so that a crash leaves none behind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from server.silencing_rules import Present, UnderWay
from server.store import taking
from server.store.engine import Database
from server.store.rows import incident_record, moment, stamp, tell, upsert
from server.store.schema import incidents, timeline
from server.store.telling_tables import silences

UNDER_WAY = ("queued", "running", "waiting")


class Silences:
    """The part of the store that is about silences."""

    def __init__(self, database: Database, now: Callable[[], datetime], changed: Callable[[str | None], None]) -> None:
        self._db = database
        self._now = now
        self._changed = changed

    async def under_way(self) -> list[UnderWay]:
        """Heals that have begun and not ended; those that wait for a human's decision are not among them."""
        return await self._db.read(_under_way)

    async def all(self) -> list[Present]:
        rows = await self._db.read(lambda c: c.execute(select(silences).order_by(silences.c.id)).all())
        return [
            Present(row.incident_id, row.fingerprint, row.silence_id, moment(row.until), bool(row.lifted))
            for row in rows
        ]

    async def known(self, incident_ids: Collection[str]) -> set[str]:
        """Which of these ids name incidents of ours."""
        query = select(incidents.c.id).where(incidents.c.id.in_(list(incident_ids)))
        return set(await self._db.read(lambda c: c.execute(query).scalars().all()))

    async def keep(self, present: Present) -> None:
        values = {
            "incident_id": present.incident_id,
            "fingerprint": present.fingerprint,
            "silence_id": present.silence_id,
            "until": stamp(present.until),
            "lifted": int(present.lifted),
        }
        await self._db.write(lambda c: upsert(c, silences, values, ("incident_id", "fingerprint")))

    async def forget(self, present: Present) -> None:
        key = (silences.c.incident_id == present.incident_id, silences.c.fingerprint == present.fingerprint)
        await self._db.write(lambda c: c.execute(delete(silences).where(*key)))

    async def tell(self, incident_id: str, key: str, sentence: str) -> None:
        """A sentence of the incident's timeline; the same key replaces it."""
        now = self._now()
        await self._db.write(lambda c: tell(c, incident_id, key, now, sentence))
        self._changed(incident_id)


def _under_way(connection: Connection) -> list[UnderWay]:
    rows = connection.execute(
        select(incidents).where(incidents.c.phase.in_(UNDER_WAY), incidents.c.begun_at.is_not(None))
    ).all()
    return [
        UnderWay(
            incident_record(connection, row),
            _gate(connection, row.id),
            bool(row.cancel_by) or taking.active(connection, row.id) is not None,
        )
        for row in rows
    ]


def _gate(connection: Connection, incident_id: str) -> str | None:
    """What the gate decided last."""
    records: Mapping[str, Any] | None = connection.execute(
        select(timeline.c.records)
        .where(timeline.c.incident_id == incident_id, timeline.c.node == "gate")
        .order_by(timeline.c.at.desc(), timeline.c.id.desc())
        .limit(1)
    ).scalar()
    gate = (records or {}).get("gate")
    return str(gate["decision"]) if gate else None
