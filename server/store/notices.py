"""Notices to people, written in the transaction of what they are about. Whom they reach is settled later.

What calls a human opens a call too: a chain of people is told until one of them has taken note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Float, Row, bindparam, or_, select, update

from graph.rules.notifying import CALLS
from server.store import quick
from server.store.clocks import set_back
from server.store.folding import folded
from server.store.rows import add, incident_row, iso, stamp
from server.store.telling_tables import calls, outbox

_NOW = bindparam("now", type_=Float)
_DUE = (
    select(outbox)
    .where(outbox.c.sent_at.is_(None), or_(outbox.c.next_at <= _NOW, set_back(outbox.c.next_at, _NOW)))
    .order_by(outbox.c.id)
    .limit(bindparam("most"))
)
_SETTLE = update(outbox).where(outbox.c.id == bindparam("of_id"), outbox.c.sent_at.is_(None))
_OF_INCIDENT = calls.c.incident_id == bindparam("of_incident")
_CALL = select(calls).where(_OF_INCIDENT, calls.c.event == bindparam("of_event"), calls.c.key == bindparam("of_key"))
_END_EARLIER = update(calls).where(_OF_INCIDENT, calls.c.ended_at.is_(None))

NoticeKind = Literal["opened", "approval_wanted", "mitigated", "escalated", "self_resolved", "declined", "demoted"]


@dataclass(frozen=True)
class Notice:
    """Something people are to be told. `payload` is the JSON that the plain webhook gets."""

    id: int
    payload: Mapping[str, Any]


def notice(
    connection: Connection, incident_id: str, kind: NoticeKind, reason: str, now: datetime, key: str, **more: Any
) -> None:
    """Put a notice in the outbox. `key`: the same event of the same incident with the same key is told once."""
    row = incident_row(connection, incident_id)
    assert row is not None, "a notice is about an incident there is"
    about = (incident_id, row.number, f"{row.resource_kind}/{row.resource_id}", row.issue_types)
    payload = payload_of(*about, kind, reason, now, key, **more)
    if not folded(connection, payload):
        put(connection, payload, now)


def payload_of(
    incident_id: str,
    number: int,
    resource: str,
    issue_types: list[str],
    kind: NoticeKind,
    reason: str,
    now: datetime,
    key: str,
    **more: Any,
) -> dict[str, Any]:
    """What a notice says: the JSON that the plain webhook gets."""
    return {
        "event": kind,
        "incident_id": incident_id,
        "number": number,
        "resource": resource,
        "issue_types": issue_types,
        "reason": reason,
        "at": iso(stamp(now)),
        "key": key,
        **more,
    }


def put(connection: Connection, payload: Mapping[str, Any], now: datetime) -> None:
    """Let people be told, whether or not the incident is part of a storm."""
    add(connection, outbox, payload=dict(payload), next_at=stamp(now), tries=0)
    if payload["event"] in CALLS:
        _call(connection, payload, now)


def due(connection: Connection, now: datetime, limit: int = 50) -> list[Notice]:
    """What nobody has been told yet, oldest first."""
    rows = quick.rows(connection, _DUE, {"now": stamp(now), "most": limit})
    return [Notice(row.id, row.payload) for row in rows]


def settled(connection: Connection, notice_id: int, now: datetime) -> bool:
    """Who is told is settled. False where it was before."""
    return quick.run(connection, _SETTLE, {"of_id": notice_id, "sent_at": stamp(now)}) == 1


def call_of(connection: Connection, incident_id: str, event: str, key: str) -> Row[Any] | None:
    """The call of humans about this."""
    return quick.first(connection, _CALL, {"of_incident": incident_id, "of_event": event, "of_key": key})


def _call(connection: Connection, payload: Mapping[str, Any], now: datetime) -> None:
    values = {"incident_id": payload["incident_id"], "event": payload["event"], "key": payload["key"]}
    if call_of(connection, **values) is not None:
        return
    ended = {"ended_at": stamp(now), "ended_why": "another call followed"}
    quick.run(connection, _END_EARLIER, {"of_incident": values["incident_id"], **ended})
    add(connection, calls, **values, at=stamp(now), payload=dict(payload), told=[])
