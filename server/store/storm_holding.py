"""What storms there are, as seen by a repair that must wait for them, and by people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from graph.kind import STORM
from graph.ports import Hold
from graph.rules.sharing import Share
from graph.rules.storms import StormRules
from server.store import quick
from server.store.rows import iso
from server.store.schema import incidents
from server.store.storm_tables import storm_members, storms

LOOK_AGAIN = timedelta(seconds=120)
"""A heal that waits is woken when its storm is over; this is for the case that nobody is there to do so."""


def in_force(connection: Connection) -> Sequence[Row[Any]]:
    """The storms that last, oldest first, each with its parent's number."""
    return quick.rows(connection, _IN_FORCE, {})


def held(connection: Connection, rules: StormRules | None, key: str, now: datetime) -> Hold | None:
    """Why a repair of this resource waits for a storm to pass, or None."""
    if rules is None:
        return None
    for storm in in_force(connection):
        if key in rules.shares.members.get(share_of(storm), ()) and key not in storm.spared:
            return Hold("storm", why(storm), now + LOOK_AGAIN)
    return None


def why(storm: Row[Any]) -> str:
    """Why members wait, naming the storm."""
    return f"storm #{storm.number}: {storm.reason}"


def share_of(storm: Row[Any]) -> Share:
    return Share(storm.share_kind, storm.share_name)


def of_parent(connection: Connection, incident_id: str) -> Row[Any] | None:
    """The storm that an incident stands for, or None."""
    return connection.execute(_with_number().where(storms.c.incident_id == incident_id)).first()


def of_member(connection: Connection, incident_id: str) -> Row[Any] | None:
    """The storm that an incident is, or was last, part of."""
    mine = (storm_members.c.incident_id == incident_id, storm_members.c.left_at.is_(None))
    query = _with_number().join(storm_members, storm_members.c.storm_id == storms.c.id).where(*mine)
    return connection.execute(query.order_by(storms.c.id.desc())).first()


def told(connection: Connection, row: Row[Any]) -> dict[str, Any] | None:
    """For an incident's record: the storm it stands for, with all members, or the one it is part of."""
    parent = row.resource_kind == STORM
    storm = of_parent(connection, row.id) if parent else of_member(connection, row.id)
    if storm is None:
        return None
    return short(storm) | {"parent": parent, "members": members(connection, storm.id) if parent else []}


def all_told(connection: Connection) -> list[dict[str, Any]]:
    """The storms that last, for the fleet at a glance."""
    return [short(storm) | {"members": _count(connection, storm.id)} for storm in in_force(connection)]


def short(storm: Row[Any]) -> dict[str, Any]:
    return {
        "number": storm.number,
        "shared": str(share_of(storm)),
        "reason": storm.reason,
        "spared": list(storm.spared),
        "since": iso(storm.since),
        "began_at": iso(storm.began_at),
        "ended_at": iso(storm.ended_at),
        "ended_how": storm.ended_how,
    }


def members(connection: Connection, storm_id: int) -> list[dict[str, Any]]:
    """The incidents that are part of a storm, by number."""
    mine = (storm_members.c.storm_id == storm_id, storm_members.c.left_at.is_(None))
    rows = connection.execute(
        select(incidents)
        .join(storm_members, storm_members.c.incident_id == incidents.c.id)
        .where(*mine)
        .order_by(incidents.c.number)
    )
    return [
        {
            "number": row.number,
            "resource": f"{row.resource_kind}/{row.resource_id}",
            "phase": row.phase,
            "outcome": row.outcome,
            "issue_types": row.issue_types,
        }
        for row in rows
    ]


def _count(connection: Connection, storm_id: int) -> int:
    mine = (storm_members.c.storm_id == storm_id, storm_members.c.left_at.is_(None))
    return connection.execute(select(func.count()).where(*mine)).scalar_one()


def _with_number() -> Select[Any]:
    return select(storms, incidents.c.number).join(incidents, incidents.c.id == storms.c.incident_id)


_IN_FORCE = _with_number().where(storms.c.ended_at.is_(None)).order_by(storms.c.id)
"""Asked for by every alert and every heal, so made once."""
