"""Legs that lost their worker: made runnable again, under a number that was never used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, select, update

from server.store import tallies
from server.store.rows import change, stamp, tell
from server.store.schema import incidents

STUDIO = "studio"
"""How the holder of a heal that is stepped through in Studio begins: another process, which a restart does not end."""


def take_back(connection: Connection, now: datetime) -> int:
    """Make legs whose holder let the lease run out runnable again, under a new number. Returns how many."""
    lost = connection.execute(
        select(incidents).where(incidents.c.phase == "running", incidents.c.lease_until < stamp(now))
    ).all()
    for row in lost:
        _free(connection, row, now, f"{row.holder} was not heard of for too long: another worker goes on")
    tallies.count(connection, tallies.LEASES_LOST, "expired", by=len(lost))
    return len(lost)


def any_lost(connection: Connection, now: datetime) -> bool:
    """Whether there is something for `take_back`."""
    lost = (incidents.c.phase == "running", incidents.c.lease_until < stamp(now))
    return connection.execute(select(incidents.c.id).where(*lost).limit(1)).first() is not None


def start_over(connection: Connection, now: datetime) -> int:
    """At the start of the only process on this database: nobody else runs a leg, so all that ran are runnable.

    Returns how many ran.
    """
    ours = incidents.c.holder.not_like(f"{STUDIO}%")
    ran = connection.execute(select(incidents).where(incidents.c.phase == "running", ours)).all()
    for row in ran:
        _free(connection, row, now, "the server was restarted: the heal goes on where it was")
    tallies.count(connection, tallies.LEASES_LOST, "restarted", by=len(ran))
    return len(ran)


def begun_afresh(connection: Connection, incident_id: str) -> None:
    """The running heal has left its old thread behind: whoever takes it over must resume the new one."""
    begun = and_(incidents.c.id == incident_id, incidents.c.phase == "running", incidents.c.fresh == 1)
    connection.execute(update(incidents).where(begun).values(fresh=0))


def _free(connection: Connection, row: Row[Any], now: datetime, why: str) -> None:
    values = {"phase": "queued", "holder": None, "lease_until": None, "leg": row.leg + 1}
    change(connection, row.id, updated_at=stamp(now), **values)
    tell(connection, row.id, f"taken-over:{row.leg}", now, why)
