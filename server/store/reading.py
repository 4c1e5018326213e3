"""Reading incidents back: short for lists, whole for one, and counted for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Row, Select, literal, or_, select

from server.store import calling, model_calls, places, storm_holding, taking
from server.store.commands import commands_of
from server.store.people_tables import confirmations
from server.store.recalling import CHANNELS, recalled
from server.store.rows import MAX_NUMBER_DIGITS, incident_record, incident_row, iso, moment
from server.store.schema import alerts, approvals, audit, incidents, journal, past_heals, timeline

JOINED = "joined:"
"""How the keys of what is told of an alert that joined begin."""


@dataclass(frozen=True)
class Page:
    """One page of a list, newest first; `next_cursor` is None on the last."""

    items: list[dict[str, Any]]
    next_cursor: int | None


def page(
    connection: Connection,
    status: str | None,
    resource: str | None,
    limit: int,
    cursor: int | None,
    search: str | None = None,
) -> Page:
    """Incidents, short. `status` is a phase or an outcome; `resource` an id or `Kind/id`."""
    query = select(incidents).order_by(incidents.c.number.desc()).limit(limit + 1)
    if status:
        query = query.where(or_(incidents.c.phase == status, incidents.c.outcome["status"].as_string() == status))
    if resource:
        kind, _, name = resource.rpartition("/")
        query = query.where(incidents.c.resource_id == name)
        query = query.where(incidents.c.resource_kind == kind) if kind else query
    if search:
        query = query.where(_found(search))
    if cursor is not None:
        query = query.where(incidents.c.number < cursor)
    rows = connection.execute(query).all()
    items = [_short(connection, row) for row in rows[:limit]]
    return Page(items, rows[limit - 1].number if len(rows) > limit else None)


def _found(search: str) -> ColumnElement[bool]:
    """Whether an incident is what is searched for: its number, or part of its resource, alerts' names or cause."""
    wanted = search.strip()
    number = wanted.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) <= MAX_NUMBER_DIGITS:
        return incidents.c.number == int(number)
    name = alerts.c.body["labels"]["alertname"].as_string()
    alerted = select(alerts.c.incident_id).where(name.icontains(wanted, autoescape=True))
    suspected = select(past_heals.c.incident_id).where(past_heals.c.suspected_cause.icontains(wanted, autoescape=True))
    return or_(
        (incidents.c.resource_kind + "/" + incidents.c.resource_id).icontains(wanted, autoescape=True),
        incidents.c.id.in_(alerted),
        incidents.c.id.in_(suspected),
    )


def _short(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    record = incident_record(connection, row)
    return {
        "id": row.id,
        "number": row.number,
        "title": record.title,
        "resource_kind": row.resource_kind,
        "resource_id": row.resource_id,
        "issue_types": row.issue_types,
        "phase": row.phase,
        "outcome": row.outcome,
        "wait_reason": row.wait_reason,
        "received_at": iso(row.received_at),
        "updated_at": iso(row.updated_at),
    }


def whole(connection: Connection, incident_id: str) -> dict[str, Any] | None:
    """Everything told of one incident, or None."""
    row = incident_row(connection, incident_id)
    if row is None:
        return None
    entries = timeline_of(connection, row.id)
    latest: dict[str, Any] = dict.fromkeys(CHANNELS)
    for entry in entries:
        latest.update({name: value for name, value in entry["records"].items() if name in CHANNELS})
    record = _short(connection, row) | latest
    record |= {
        "outcome": row.outcome,
        "resource": row.resource,
        "alerts": _alerts(connection, row.id),
        "attempts": row.attempts,
        "actions": _actions(connection, row.id),
        "approvals": _approvals(connection, row.id),
        "commands": commands_of(connection, row.id),
        "model": model_calls.summary(connection, row.id),
        "wake_at": iso(row.wake_at),
        "held_by": places.held_by(connection, row.id) if row.phase == "waiting" else "",
        "cancel_by": row.cancel_by,
        "taken_over": taking.told(connection, row.id),
        "acknowledged": calling.acknowledged(connection, row.id),
        "storm": storm_holding.told(connection, row),
        "confirmations": _confirmations(connection, row.id),
        "times": (row.outcome or {}).get("times"),
        "timeline": [{key: entry[key] for key in ("id", "at", "node", "author", "sentence")} for entry in entries],
        "audit": _audit(connection, row.id),
    }
    asked = next((item for item in reversed(record["approvals"]) if item["state"] == "waiting"), None)
    record["waiting_for"] = asked
    return recalled(connection, record, {name for entry in entries for name in entry["records"]})


def timeline_of(connection: Connection, incident_id: str) -> list[dict[str, Any]]:
    """Its sentences by time: one told anew stands where it was last true."""
    told = connection.execute(
        select(timeline).where(timeline.c.incident_id == incident_id).order_by(timeline.c.at, timeline.c.id)
    )
    rows = sorted([*told, *connection.execute(_joinings(incident_id))], key=_place)
    return [
        {
            "id": row.id,
            "key": row.key,
            "at": iso(row.at),
            "node": row.node,
            "author": row.author,
            "sentence": row.sentence,
            "records": row.records,
        }
        for row in rows
    ]


def _place(row: Row[Any]) -> tuple[float, int]:
    """By time; of one moment first what opened it, then what joined, then the rest as it was told."""
    return row.at, 0 if row.key == "received" else 1 if row.key.startswith(JOINED) else 2


def _joinings(incident_id: str) -> Select[Any]:
    """Alerts that joined, as rows of the timeline. Their ids are below zero: they are none of its own."""
    return (
        select(
            (-alerts.c.id).label("id"),
            (JOINED + alerts.c.fingerprint).label("key"),
            alerts.c.first_at.label("at"),
            literal("server").label("node"),
            literal("alertmanager").label("author"),
            alerts.c.joined.label("sentence"),
            literal({}, JSON).label("records"),
        )
        .where(alerts.c.incident_id == incident_id, alerts.c.joined.is_not(None))
        .order_by(alerts.c.id)
    )


def _alerts(connection: Connection, incident_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(select(alerts).where(alerts.c.incident_id == incident_id).order_by(alerts.c.id))
    return [
        {**row["body"], "count": row["count"], "first_at": iso(row["first_at"]), "last_at": iso(row["last_at"])}
        for row in rows.mappings()
    ]


def _actions(connection: Connection, incident_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        select(journal).where(journal.c.incident_id == incident_id).order_by(journal.c.started_at)
    )
    return [
        {
            "idempotency_key": row.idempotency_key,
            "attempt": row.attempt,
            "action": row.action,
            "rendered": row.rendered,
            "plan_fingerprint": row.plan_fingerprint,
            "undo": bool(row.undo),
            "started_at": iso(row.started_at),
            "finished_at": iso(row.finished_at),
            "status": (row.result or {}).get("status", "started"),
            "output": (row.result or {}).get("output", ""),
            "proven_by_probe": (row.result or {}).get("proven_by_probe", False),
        }
        for row in rows
    ]


def _approvals(connection: Connection, incident_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(select(approvals).where(approvals.c.incident_id == incident_id).order_by(approvals.c.id))
    return [
        {
            "state": row.state,
            "asked_fingerprint": row.asked_fingerprint,
            "plan_fingerprint": row.plan_fingerprint,
            "request": row.request,
            "plan": row.plan,
            "asked_at": iso(row.asked_at),
            "expires_at": iso(row.expires_at),
            "decision": row.decision,
            "by": row.decided_by,
            "at": iso(row.decided_at),
            "comment": row.comment,
        }
        for row in rows
    ]


def _audit(connection: Connection, incident_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(select(audit).where(audit.c.incident_id == incident_id).order_by(audit.c.id))
    return [{"at": iso(row.at), "who": row.who, "what": row.what, "detail": row.detail} for row in rows]


def _confirmations(connection: Connection, incident_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        select(confirmations).where(confirmations.c.incident_id == incident_id).order_by(confirmations.c.id)
    )
    return [
        {
            "by": row.by,
            "at": iso(row.at),
            "cause": row.cause,
            "right": None if row.right is None else bool(row.right),
            "comment": row.comment,
        }
        for row in rows
    ]


def under_way(connection: Connection, resource_key: str) -> str | None:
    """The open incident of a resource, in a sentence."""
    kind, _, name = resource_key.partition("/")
    row = connection.execute(
        select(incidents).where(
            incidents.c.resource_kind == kind, incidents.c.resource_id == name, incidents.c.phase != "closed"
        )
    ).first()
    return None if row is None else f"#{row.number} {'/'.join(row.issue_types)} is {row.phase}"


def recent(connection: Connection, resource_key: str, limit: int) -> list[str]:
    """A sentence for each earlier incident of a resource that has ended, newest first."""
    kind, _, name = resource_key.partition("/")
    rows = connection.execute(
        select(incidents)
        .where(
            incidents.c.resource_kind == kind,
            incidents.c.resource_id == name,
            incidents.c.phase == "closed",
        )
        .order_by(incidents.c.number.desc())
        .limit(limit)
    )
    return [
        f"#{row.number} {moment(row.received_at):%Y-%m-%d %H:%M} UTC {'/'.join(row.issue_types)}: "
        f"{(row.outcome or {}).get('status', 'closed')}: {(row.outcome or {}).get('reason', '')}"[:300]
        for row in rows
    ]
