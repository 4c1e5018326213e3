"""The audit log: who did what, when, from where, on what. Only ever added to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from server.store.rows import add, iso, stamp
from server.store.schema import audit, incidents, past_heals
from server.store.who import Who


def record(
    connection: Connection, who: Who | str, what: str, incident_id: str | None, now: datetime, **detail: Any
) -> None:
    """Add an entry, in the transaction of what it is about."""
    actor = Who.of(who)
    told = detail | actor.origin
    add(connection, audit, at=stamp(now), who=actor.name, what=what, incident_id=incident_id, detail=told)


def entries(
    connection: Connection, limit: int, cursor: int | None, who: str | None = None, what: str | None = None
) -> tuple[list[dict[str, Any]], int | None]:
    """A page of entries, newest first, and the cursor of the next page, or None."""
    # Of incidents that were deleted, how they ended is still known.
    number = func.coalesce(incidents.c.number, past_heals.c.number).label("number")
    query = select(audit, number).outerjoin(incidents, incidents.c.id == audit.c.incident_id)
    query = query.outerjoin(past_heals, past_heals.c.incident_id == audit.c.incident_id)
    query = query.order_by(audit.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(audit.c.id < cursor)
    if who:
        query = query.where(audit.c.who == who)
    if what:
        query = query.where(audit.c.what == what)
    rows = connection.execute(query).all()
    told = [
        {
            "id": row.id,
            "at": iso(row.at),
            "who": row.who,
            "what": row.what,
            "incident_id": row.incident_id,
            "number": row.number,
            "detail": row.detail,
        }
        for row in rows[:limit]
    ]
    return told, rows[limit - 1].id if len(rows) > limit else None
