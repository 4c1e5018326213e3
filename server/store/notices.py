"""Notices to people, written in the transaction of what they are about, and sent later until they arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select, update

from server.store.rows import add, iso, stamp
from server.store.schema import incidents, outbox

NoticeKind = Literal["escalated", "approval_wanted", "demoted"]


@dataclass(frozen=True)
class Notice:
    """One notice that is due."""

    id: int
    payload: Mapping[str, Any]
    tries: int


def notice(connection: Connection, incident_id: str, kind: NoticeKind, reason: str, now: datetime, **more: Any) -> None:
    """Put a notice in the outbox."""
    row = connection.execute(select(incidents).where(incidents.c.id == incident_id)).one()
    payload = {
        "event": kind,
        "incident_id": incident_id,
        "number": row.number,
        "resource": f"{row.resource_kind}/{row.resource_id}",
        "issue_types": row.issue_types,
        "reason": reason,
        "at": iso(stamp(now)),
        **more,
    }
    add(connection, outbox, payload=payload, next_at=stamp(now), tries=0)


def due(connection: Connection, now: datetime, limit: int = 20) -> list[Notice]:
    """The notices to send now, oldest first."""
    rows = connection.execute(
        select(outbox)
        .where(outbox.c.sent_at.is_(None), outbox.c.next_at <= stamp(now))
        .order_by(outbox.c.id)
        .limit(limit)
    )
    return [Notice(row.id, row.payload, row.tries) for row in rows]


def sent(connection: Connection, notice_id: int, now: datetime) -> None:
    connection.execute(update(outbox).where(outbox.c.id == notice_id).values(sent_at=stamp(now)))


def failed(connection: Connection, notice_id: int, next_at: datetime) -> None:
    values = {"tries": outbox.c.tries + 1, "next_at": stamp(next_at)}
    connection.execute(update(outbox).where(outbox.c.id == notice_id).values(**values))
