"""Rows to records and back: the only place that knows both shapes.

Statements that every heal needs many times are made once: to make one costs several times what it takes to run it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import uuid_utils
from sqlalchemy import ClauseElement, Connection, Insert, Row, Table, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from graph.records import Alert, Attempt, Incident, Outcome, Resource
from server.store import quick
from server.store.schema import alerts, incidents, timeline

MAX_NUMBER_DIGITS = 15
"""Longer ones fit no integer column; they name nothing."""

_BY_ID = select(incidents).where(incidents.c.id == bindparam("of_id"))
_CHANGE = update(incidents).where(incidents.c.id == bindparam("of_id"))
_ALERTS = select(alerts.c.body).where(alerts.c.incident_id == bindparam("of_id")).order_by(alerts.c.id)


def stamp(at: datetime) -> float:
    """Seconds since the epoch."""
    return at.timestamp()


def moment(seconds: float) -> datetime:
    """An aware UTC time."""
    return datetime.fromtimestamp(seconds, UTC)


def iso(seconds: float | None) -> str | None:
    return None if seconds is None else moment(seconds).isoformat()


def new_id() -> str:
    """A UUIDv7: sorts by time, and serves as the LangGraph thread's id."""
    return str(uuid_utils.uuid7())


def incident_row(connection: Connection, incident_id: str) -> Row[Any] | None:
    """The incident of that id, or of that number as people see it."""
    by_number = incident_id.isascii() and incident_id.isdigit() and len(incident_id) <= MAX_NUMBER_DIGITS
    if by_number:
        return connection.execute(select(incidents).where(incidents.c.number == int(incident_id))).first()
    return quick.first(connection, _BY_ID, {"of_id": incident_id})


def change(connection: Connection, incident_id: str, **values: Any) -> None:
    if _plain(values):
        quick.run(connection, _CHANGE, {"of_id": incident_id, **values})
    else:
        connection.execute(update(incidents).where(incidents.c.id == incident_id).values(**values))


def incident_record(connection: Connection, row: Row[Any]) -> Incident:
    """The incident with all its alerts."""
    found = quick.values_of(connection, _ALERTS, {"of_id": row.id})
    return Incident(
        id=row.id,
        number=row.number,
        resource_kind=row.resource_kind,
        resource_id=row.resource_id,
        issue_types=tuple(row.issue_types),
        alerts=tuple(map(Alert.model_validate, found)),
        received_at=moment(row.received_at),
        resource=Resource.model_validate(row.resource) if row.resource else None,
    )


def attempts_of(row: Row[Any]) -> tuple[Attempt, ...]:
    return tuple(Attempt.model_validate(item) for item in row.attempts)


def outcome_of(row: Row[Any]) -> Outcome | None:
    return Outcome.model_validate(row.outcome) if row.outcome else None


def upsert(connection: Connection, table: Table, values: Mapping[str, Any], key: tuple[str, ...]) -> None:
    """Insert, or replace the other columns of the row with that key."""
    quick.run(connection, _upserting(connection.dialect.name, table, tuple(values), key), values)


@cache
def _upserting(dialect_name: str, table: Table, columns: tuple[str, ...], key: tuple[str, ...]) -> Insert:
    statement = inserting(dialect_name, table)
    others = {name: statement.excluded[name] for name in columns if name not in key}
    whole: Insert = statement.on_conflict_do_update(index_elements=list(key), set_=others)
    return whole


def inserting(dialect_name: str, table: Table) -> Any:
    """An INSERT that may say ON CONFLICT."""
    return (postgresql if dialect_name == "postgresql" else sqlite).insert(table)


@cache
def _adding(table: Table) -> Insert:
    return insert(table)


def _plain(values: Mapping[str, Any]) -> bool:
    """Whether these are values only, and no expressions."""
    return not any(isinstance(value, ClauseElement) for value in values.values())


def tell(
    connection: Connection,
    incident_id: str,
    key: str,
    at: datetime,
    sentence: str,
    *,
    node: str = "server",
    author: str = "self-heal",
    records: Mapping[str, Any] | None = None,
) -> None:
    """Write one sentence of the incident's timeline; the same key replaces it."""
    values = {
        "incident_id": incident_id,
        "key": key,
        "at": stamp(at),
        "node": node,
        "author": author,
        "sentence": sentence,
        "records": dict(records or {}),
    }
    upsert(connection, timeline, values, ("incident_id", "key"))


def add(connection: Connection, table: Table, **values: Any) -> None:
    if _plain(values):
        quick.run(connection, _adding(table), values)
    else:
        connection.execute(insert(table).values(**values))
