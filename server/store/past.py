"""How heals ended, kept so that the next one of the same resource or cause finds it by an index.

A row is written in the transaction that ends a heal, and again when the incident was taken up anew and ended once more.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, Integer, Row, Select, bindparam, select, update

from agents.reasoning.lore import Likeness, PastAttempt, PastIncident
from graph.kind import NO_FAULT
from graph.records import Incident, Outcome
from server.store import quick
from server.store.attempts import all_attempts, last_diagnosis
from server.store.rows import attempts_of, moment, outcome_of, stamp, upsert
from server.store.schema import alerts, incidents, past_heals

log = logging.getLogger("selfheal.store")

MAX_CAUSES = 5
MAX_ALERTNAMES = 10
REASON_CHARS = 300
MOST_TO_CATCH_UP = 2_000
_LATEST_ALERTS = (
    select(alerts.c.body).where(alerts.c.incident_id == bindparam("of_id")).order_by(alerts.c.id.desc()).limit(100)
)

# -- writing ------------------------------------------------------------------------------------------------


def remember(connection: Connection, row: Row[Any], outcome: Outcome, now: datetime) -> None:
    """Write how a heal ended. `row` is the incident's as it was before."""
    tried = _tried(connection, row, outcome, now)
    cause, target = _what(connection, row, tried)
    values = {
        "incident_id": row.id,
        "number": row.number,
        "resource_kind": row.resource_kind,
        "resource_id": row.resource_id,
        "suspected_cause": cause[:200],
        "target": target,
        "alertnames": alertnames(connection, row.id),
        "outcome": outcome.status,
        "rule": outcome.rule[:100],
        "attempts": [
            {"actions": list(one.actions), "cause": one.suspected_cause, "held": one.held, "why": one.why_ended}
            for one in tried
        ],
        "reopened": 0,
        "comment": "",
        "closed_at": stamp(now),
    }
    upsert(connection, past_heals, values, ("incident_id",))


def reopened(connection: Connection, incident_id: str) -> None:
    """It is taken up again: what mended it did not hold."""
    connection.execute(update(past_heals).where(past_heals.c.incident_id == incident_id).values(reopened=1))


def said(connection: Connection, incident_id: str, comment: str) -> None:
    """What a human found it to be, as they closed it or confirmed its cause; the last one counts."""
    if not comment:
        return
    connection.execute(
        update(past_heals).where(past_heals.c.incident_id == incident_id).values(comment=comment[:REASON_CHARS])
    )


def catch_up(connection: Connection) -> None:
    """For a database from before there was such a table: the latest of what has ended."""
    if connection.execute(select(past_heals.c.number).limit(1)).first() is not None:
        return
    ended = incidents.c.phase.in_(("closed", "escalated", "declined", "taken_over"))
    rows = connection.execute(
        select(incidents).where(ended).order_by(incidents.c.number.desc()).limit(MOST_TO_CATCH_UP)
    ).all()
    for row in rows:
        try:
            if row.resource and (outcome := outcome_of(row)) is not None:
                remember(connection, row, outcome, outcome.times.closed or moment(row.updated_at))
        except ValidationError as error:  # an older release's record: no reason not to open the database
            log.warning("nothing is learnt from incident #%s: %s", row.number, error.errors()[0]["msg"])


def _tried(connection: Connection, row: Row[Any], outcome: Outcome, now: datetime) -> list[PastAttempt]:
    """The attempts that acted. The one that no node has closed as failed is the one that led to the outcome."""
    failed = {attempt.number for attempt in attempts_of(row)}
    tried = []
    for attempt in all_attempts(connection, row, now):
        last = attempt.number not in failed
        held = last and outcome.status == "mitigated"
        why = "" if held else f"{outcome.status}: {outcome.reason}" if last else attempt.why_ended
        if attempt.acted:
            tried.append(PastAttempt(attempt.actions, attempt.suspected_cause, held, why[:REASON_CHARS]))
    return tried


def _what(connection: Connection, row: Row[Any], tried: Sequence[PastAttempt]) -> tuple[str, str | None]:
    """The cause last suspected, and of what; a resource found well after repairs had the cause they were for."""
    diagnosis = last_diagnosis(connection, row.id)
    cause, target = str(diagnosis.get("suspected_cause", "")), diagnosis.get("target")
    if cause in ("", NO_FAULT) and tried:
        last = attempts_of(row)[-1] if row.attempts else None
        return tried[-1].suspected_cause, last.target if last else None
    return cause, target


def alertnames(connection: Connection, incident_id: str) -> list[str]:
    """The names of an incident's latest alerts."""
    bodies = quick.values_of(connection, _LATEST_ALERTS, {"of_id": incident_id})
    names = dict.fromkeys(str(body["labels"].get("alertname", "unnamed"))[:200] for body in bodies)
    return list(names)[:MAX_ALERTNAMES]


# -- finding ------------------------------------------------------------------------------------------------


def like(connection: Connection, incident: Incident, causes: Sequence[str], limit: int) -> list[PastIncident]:
    """Ended incidents like this one, never itself, most like it first and newest first within. At most `limit`."""
    found: dict[str, PastIncident] = {}
    for likeness, queries in searches(incident, causes, limit):
        rows = [row for query, values in queries for row in quick.rows(connection, query, values)]
        for row in sorted(rows, key=lambda row: (-row.closed_at, -row.number)):
            found.setdefault(row.incident_id, _record(row, likeness))
        if len(found) >= limit:
            break
    return list(found.values())[:limit]


Search = tuple[Select[tuple[Any, ...]], Mapping[str, Any]]
"""A query and its values."""


def searches(incident: Incident, causes: Sequence[str], limit: int) -> list[tuple[Likeness, list[Search]]]:
    """The queries of each likeness, nearest first. One a cause: so an index gives both the rows and their order."""
    of = {"kind": incident.resource_kind, "other_than": incident.id, "most": limit}
    resource = {"of_resource": incident.resource_id}
    of_causes = [{"of_cause": cause} for cause in list(dict.fromkeys(causes))[:MAX_CAUSES]]
    return [
        ("same resource and cause", [(_OF_BOTH, {**of, **resource, **cause}) for cause in of_causes]),
        ("same resource", [(_OF_RESOURCE, {**of, **resource})]),
        ("same kind and cause", [(_OF_CAUSE, {**of, **cause}) for cause in of_causes]),
    ]


def _newest(*wanted: ColumnElement[bool]) -> Select[tuple[Any, ...]]:
    past = past_heals.c
    others = (past.resource_kind == bindparam("kind"), past.incident_id != bindparam("other_than"))
    return (
        select(past_heals)
        .where(*wanted, *others)
        .order_by(past.closed_at.desc())
        .limit(bindparam("most", type_=Integer))
    )


_RESOURCE = past_heals.c.resource_id == bindparam("of_resource")
_CAUSE = past_heals.c.suspected_cause == bindparam("of_cause")
_OF_BOTH, _OF_RESOURCE, _OF_CAUSE = _newest(_RESOURCE, _CAUSE), _newest(_RESOURCE), _newest(_CAUSE)


def _record(row: Row[Any], likeness: Likeness) -> PastIncident:
    still_holds = not row.reopened
    return PastIncident(
        number=row.number,
        closed_at=moment(row.closed_at),
        resource_key=f"{row.resource_kind}/{row.resource_id}",
        alertnames=tuple(row.alertnames),
        suspected_cause=row.suspected_cause or "no diagnosis",
        target=row.target,
        outcome=row.outcome,
        attempts=tuple(
            PastAttempt(tuple(one["actions"]), one["cause"], one["held"] and still_holds, one["why"])
            for one in row.attempts
        ),
        likeness=likeness,
        reopened=bool(row.reopened),
        comment=row.comment,
    )
