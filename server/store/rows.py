"""Rows to records and back: the only place that knows both shapes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import uuid_utils
from sqlalchemy import Connection, Row, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from graph.records import Alert, Attempt, Incident, Outcome, Resource
from server.store.schema import alerts, incidents, timeline

MAX_NUMBER_DIGITS = 15
"""Longer ones fit no integer column; they name nothing."""


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
    key = incidents.c.number == int(incident_id) if by_number else incidents.c.id == incident_id
    return connection.execute(select(incidents).where(key)).first()


def change(connection: Connection, incident_id: str, **values: Any) -> None:
    connection.execute(update(incidents).where(incidents.c.id == incident_id).values(**values))


def incident_record(connection: Connection, row: Row[Any]) -> Incident:
    """The incident with all its alerts."""
    found = connection.execute(select(alerts.c.body).where(alerts.c.incident_id == row.id).order_by(alerts.c.id))
    return Incident(
        id=row.id,
        number=row.number,
        resource_kind=row.resource_kind,
        resource_id=row.resource_id,
        issue_types=tuple(row.issue_types),
        alerts=tuple(Alert.model_validate(body) for body in found.scalars()),
        received_at=moment(row.received_at),
        resource=Resource.model_validate(row.resource) if row.resource else None,
    )


def attempts_of(row: Row[Any]) -> tuple[Attempt, ...]:
    return tuple(Attempt.model_validate(item) for item in row.attempts)


def outcome_of(row: Row[Any]) -> Outcome | None:
    return Outcome.model_validate(row.outcome) if row.outcome else None


def upsert(connection: Connection, table: Table, values: Mapping[str, Any], key: tuple[str, ...]) -> None:
    """Insert, or replace the other columns of the row with that key."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**values)
    others = {name: value for name, value in values.items() if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=others))


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
    connection.execute(insert(table).values(**values))
