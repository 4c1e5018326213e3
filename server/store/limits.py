"""What the budget, the rates and the cool-downs say of a side effect in the moment before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from graph.ports import Hold, JournalRequest
from graph.records import Resource
from graph.rules.budget import FleetLimits, disrupts
from graph.rules.safety import resource_rate
from server.store import cooling, places, quick, rates
from server.store.schema import journal

_EARLIER = select(journal.c.attempt).where(
    journal.c.incident_id == bindparam("of_id"),
    journal.c.attempt == bindparam("of_attempt"),
    journal.c.idempotency_key != bindparam("key"),
)


def reserved(
    connection: Connection, row: Row[Any], request: JournalRequest, limits: FleetLimits, max_actions_per_hour: int
) -> Hold | None:
    """Why the repair must not begin now; where nothing speaks against it, it counts from now on.

    What has begun goes on, and what undoes it never waits: half a repair is worse than one too many.
    """
    if row.resource is None:
        return None
    resource = Resource.model_validate(row.resource)
    begun = _begun(connection, request)
    asks = not begun and not request.undo
    if asks and (held := _against(connection, resource, request, limits, max_actions_per_hour)):
        return held
    if disrupts(request.risk) and not (begun and places.has(connection, request.incident_id)):
        places.reserve(connection, resource, request)
    if limits.counts(request.action, resource.group):
        rates.note(connection, request, resource.group)
    return None


def _against(
    connection: Connection, resource: Resource, request: JournalRequest, limits: FleetLimits, max_actions_per_hour: int
) -> Hold | None:
    now, key = request.now, request.idempotency_key
    if not request.approval_needed and (held := cooling.hold(connection, resource.key, limits, now)):
        return held
    count, oldest = rates.of_resource(connection, resource.key, now, but=key)
    if held := resource_rate(count, oldest, max_actions_per_hour, now):
        return held
    if held := rates.group_spent(connection, resource.group, limits, now, but=key):
        return held
    spent = rates.actions_spent(connection, limits, now, but=key)
    if held := next((spent[action] for action in request.actions or (request.action,) if action in spent), None):
        return held
    return places.hold(connection, resource, limits, now) if disrupts(request.risk) else None


def view(connection: Connection, resource: Resource, limits: FleetLimits, now: datetime) -> Mapping[str, Any]:
    """The same for the gate, by the fields of `FleetView`."""
    count, oldest = rates.of_resource(connection, resource.key, now)
    return {
        "recent_actions": count,
        "oldest_recent_at": oldest,
        "group_spent": rates.group_spent(connection, resource.group, limits, now),
        "actions_spent": rates.actions_spent(connection, limits, now),
        "no_place": places.hold(connection, resource, limits, now),
        "cooling": cooling.hold(connection, resource.key, limits, now),
    }


def state(connection: Connection, limits: FleetLimits, now: datetime) -> dict[str, Any]:
    """For people: budgets by group, rates that are reached, resources that are left alone."""
    return {
        "budgets": places.state(connection, limits, now),
        "rates_reached": rates.state(connection, limits, now),
        "cool_downs": cooling.state(connection, limits, now),
    }


def _begun(connection: Connection, request: JournalRequest) -> bool:
    """Whether an earlier step of the same attempt has begun."""
    of = {"of_id": request.incident_id, "of_attempt": request.attempt, "key": request.idempotency_key}
    return quick.first(connection, _EARLIER, of) is not None
