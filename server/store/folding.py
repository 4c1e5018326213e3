"""While a storm lasts, its parent incident is told; what its members would tell is kept, and sorted out afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from graph.rules.notifying import ENDINGS
from server.store import quick
from server.store.deliveries import told_before
from server.store.rows import add
from server.store.schema import incidents
from server.store.storm_tables import storm_members, storm_notices, storms

CANCELLED = "cancelled"
_ITS_STORM = (
    select(storms.c.id, storms.c.ended_at, storms.c.ended_how)
    .join(storm_members, storm_members.c.storm_id == storms.c.id)
    .where(storm_members.c.incident_id == bindparam("of_id"), storm_members.c.left_at.is_(None))
    .order_by(storms.c.id.desc())
)


def folded(connection: Connection, payload: Mapping[str, Any]) -> bool:
    """Whether a notice is kept back, as its incident is part of a storm."""
    row = quick.first(connection, _ITS_STORM, {"of_id": payload["incident_id"]})
    if row is None:
        return False
    if row.ended_at is not None:
        # Whoever cancelled the storm knows what has become of its members.
        return bool(row.ended_how == CANCELLED and payload["event"] == "declined")
    about = {"incident_id": payload["incident_id"], "event": payload["event"]}
    add(connection, storm_notices, storm_id=row.id, **about, payload=dict(payload))
    return True


def unfolded(connection: Connection, storm_id: int, incident_ids: Collection[str] | None = None) -> Iterator[Any]:
    """The payloads that are still worth telling, the latest of each event; all that was kept is forgotten."""
    mine = [storm_notices.c.storm_id == storm_id]
    if incident_ids is not None:
        mine.append(storm_notices.c.incident_id.in_(incident_ids))
    rows = connection.execute(select(storm_notices).where(*mine).order_by(storm_notices.c.id)).all()
    connection.execute(storm_notices.delete().where(*mine))
    latest = {(row.incident_id, row.event): row for row in rows}
    for row in latest.values():
        if _still_worth(connection, row):
            yield row.payload


def _still_worth(connection: Connection, row: Row[Any]) -> bool:
    phase = connection.execute(select(incidents.c.phase).where(incidents.c.id == row.incident_id)).scalar()
    match row.event:
        case "escalated":
            return phase == "escalated"
        case "approval_wanted":
            return phase == "waiting_approval"
        case "opened":
            return False
        case event if event in ENDINGS:
            return bool(told_before(connection, row.incident_id))
    return True
