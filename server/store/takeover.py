"""Legs that lost their worker: made runnable again, under a number that was never used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Float, Row, and_, bindparam, or_, select, update

from server.store import quick, tallies
from server.store.clocks import SET_BACK_SECONDS, set_back
from server.store.rows import change, stamp, tell
from server.store.schema import incidents

STUDIO = "studio"
"""How the holder of a heal that is stepped through in Studio begins: another process, which a restart does not end."""
_OURS = incidents.c.holder.not_like(f"{STUDIO}%")
_NOW = bindparam("now", type_=Float)
_OVER = or_(incidents.c.lease_until < _NOW, and_(_OURS, set_back(incidents.c.lease_until, _NOW)))
_ANY_LOST = select(incidents.c.id).where(incidents.c.phase == "running", _OVER).limit(1)
_FRESH = and_(incidents.c.id == bindparam("of_id"), incidents.c.phase == "running", incidents.c.fresh == 1)
_BEGUN_AFRESH = update(incidents).where(_FRESH).values(fresh=0)


def take_back(connection: Connection, now: datetime) -> int:
    """Make legs whose holder let the lease run out runnable again, under a new number. Returns how many."""
    # No worker leases a leg for so long: it was leased before the clock was set back. Who lives renews it in seconds.
    ahead = and_(incidents.c.phase == "running", _OURS, set_back(incidents.c.lease_until, stamp(now)))
    connection.execute(update(incidents).where(ahead).values(lease_until=stamp(now) + SET_BACK_SECONDS))
    lost = connection.execute(
        select(incidents).where(incidents.c.phase == "running", incidents.c.lease_until < stamp(now))
    ).all()
    for row in lost:
        _free(connection, row, now, f"{row.holder} was not heard of for too long: another worker goes on")
    tallies.count(connection, tallies.LEASES_LOST, "expired", by=len(lost))
    return len(lost)


def any_lost(connection: Connection, now: datetime) -> bool:
    """Whether there is something for `take_back`."""
    return quick.first(connection, _ANY_LOST, {"now": stamp(now)}) is not None


def start_over(connection: Connection, now: datetime) -> int:
    """At the start of the only process on this database: nobody else runs a leg, so all that ran are runnable.

    Returns how many ran.
    """
    ran = connection.execute(select(incidents).where(incidents.c.phase == "running", _OURS)).all()
    for row in ran:
        _free(connection, row, now, "the server was restarted: the heal goes on where it was")
    tallies.count(connection, tallies.LEASES_LOST, "restarted", by=len(ran))
    return len(ran)


def begun_afresh(connection: Connection, incident_id: str) -> None:
    """The running heal has left its old thread behind: whoever takes it over must resume the new one."""
    quick.run(connection, _BEGUN_AFRESH, {"of_id": incident_id})


def _free(connection: Connection, row: Row[Any], now: datetime, why: str) -> None:
    values = {"phase": "queued", "holder": None, "lease_until": None, "leg": row.leg + 1}
    change(connection, row.id, updated_at=stamp(now), **values)
    tell(connection, row.id, f"taken-over:{row.leg}", now, why)
