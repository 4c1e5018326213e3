"""The time after an escalation in which a resource is left alone: a human looks at it, what failed is not repeated."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from graph.ports import Hold
from graph.records import Outcome
from graph.rules.budget import FleetLimits, cooling
from server.store import places, quick
from server.store.budget_tables import cool_downs
from server.store.rows import iso, moment, stamp, upsert

RULE = "cool_down"
_OF_RESOURCE = select(cool_downs).where(cool_downs.c.resource == bindparam("of_resource"))


def hold(connection: Connection, resource_key: str, limits: FleetLimits, now: datetime) -> Hold | None:
    """Why nothing is done to the resource now, or None."""
    row = quick.first(connection, _OF_RESOURCE, {"of_resource": resource_key})
    return None if row is None else cooling(row.number, moment(row.escalated_at), limits, now)


def begin(connection: Connection, row: Row[Any], outcome: Outcome, now: datetime) -> None:
    """As a heal ends. What a human has taken over was not escalated by us, and is theirs to give back."""
    if outcome.status != "escalated" or outcome.rule == "taken_over":
        return
    values = {"resource": _key(row), "incident_id": row.id, "number": row.number, "escalated_at": stamp(now)}
    upsert(connection, cool_downs, values, ("resource",))


def lift(connection: Connection, row: Row[Any]) -> bool:
    """A human wants the resource to be repaired: True where this incident rests for nothing but its cool-down."""
    connection.execute(cool_downs.delete().where(cool_downs.c.resource == _key(row)))
    return row.phase == "waiting" and places.held_by(connection, row.id) == RULE


def state(connection: Connection, limits: FleetLimits, now: datetime) -> list[dict[str, Any]]:
    """The resources that are left alone now, first that which is free first."""
    since = stamp(now) - limits.cool_down_seconds
    rows = connection.execute(
        select(cool_downs).where(cool_downs.c.escalated_at > since).order_by(cool_downs.c.escalated_at)
    )
    return [
        {"resource": row.resource, "number": row.number, "until": iso(row.escalated_at + limits.cool_down_seconds)}
        for row in rows
    ]


def _key(row: Row[Any]) -> str:
    return f"{row.resource_kind}/{row.resource_id}"
