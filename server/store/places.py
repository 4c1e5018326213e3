"""Places in the budget of a group: reserved as a disruptive repair begins, free again in the transaction that ends it.

A place belongs to an incident, not to a worker: it outlives whoever dies, and goes when the incident's attempt does.
A freed one is promised for a moment to whoever has waited longest, so that nobody who comes later is quicker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, or_, select

from graph.ports import Hold, JournalRequest
from graph.records import Resource
from graph.rules.budget import FleetLimits, UnderRepair, no_place
from server.store import quick
from server.store.budget_tables import held_heals, places
from server.store.rows import change, incident_row, iso, stamp, upsert
from server.store.schema import incidents

PROMISE_SECONDS = 15.0
RULE = "fleet_budget"
_GIVE_BACK = places.delete().where(places.c.incident_id == bindparam("of_id")).returning(places)
_COUNTED = (places.c.incident_id == bindparam("of_id"), places.c.promised_until.is_(None))
_BEGUN = select(places.c.incident_id).where(*_COUNTED, places.c.attempt <= bindparam("last"))
_AT_ITS_END = (
    select(places.c.promised_until, held_heals.c.rule, held_heals.c.since)
    .select_from(incidents)
    .outerjoin(places, places.c.incident_id == incidents.c.id)
    .outerjoin(held_heals, held_heals.c.incident_id == incidents.c.id)
    .where(incidents.c.id == bindparam("of_id"))
)


def hold(connection: Connection, resource: Resource, limits: FleetLimits, now: datetime) -> Hold | None:
    """Why a disruptive repair of this resource must wait for others of its group, or None."""
    if not resource.group:
        return None
    taken = [row for row in _taken(connection, now, resource.group) if row.resource != resource.key]
    others = [UnderRepair(row.number, row.resource, row.machine, row.promised_until is not None) for row in taken]
    return no_place(limits, resource.group, resource.host_key, others, now)


def reserve(connection: Connection, resource: Resource, request: JournalRequest) -> None:
    """A disruptive repair begins: its machine counts from now on. Whether it may was asked before."""
    values = {
        "incident_id": request.incident_id,
        "of_group": resource.group,
        "machine": resource.host_key,
        "resource": resource.key,
        "attempt": request.attempt,
        "since": stamp(request.now),
        "promised_until": None,
    }
    upsert(connection, places, values, ("incident_id",))


def release(connection: Connection, incident_id: str, now: datetime) -> None:
    """The incident needs no place any more. What it frees is promised to whoever has waited longest."""
    row = quick.first(connection, _GIVE_BACK, {"of_id": incident_id})
    if row is None or not row.of_group or (row.promised_until or stamp(now) + 1) <= stamp(now):
        return
    waits = _longest_waiting(connection, row.of_group)
    if waits is not None and all(other.machine != row.machine for other in _taken(connection, now, row.of_group)):
        _promise(connection, waits, row.of_group, now)


def attempt_ended(connection: Connection, incident_id: str, closed: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """These attempts are closed: what was reserved for one of them is free."""
    last = max((int(attempt["number"]) for attempt in closed), default=0)
    if quick.first(connection, _BEGUN, {"of_id": incident_id, "last": last}) is not None:
        release(connection, incident_id, now)


def leg_ended(connection: Connection, incident_id: str, rule: str, limits: FleetLimits, now: datetime) -> None:
    """A leg has ended; `rule` is what holds its heal now, or empty. A promise not taken up goes to the next."""
    found = quick.first(connection, _AT_ITS_END, {"of_id": incident_id})
    assert found is not None, "a leg is of an incident there is"
    if found.rule is not None and found.rule != rule:
        connection.execute(held_heals.delete().where(held_heals.c.incident_id == incident_id))
    if found.promised_until is not None and rule == RULE:
        connection.execute(places.delete().where(places.c.incident_id == incident_id))  # no room for it after all
    elif found.promised_until is not None:
        release(connection, incident_id, now)
    if rule:
        since = found.since if found.rule == rule else stamp(now)
        _held(connection, incident_id, rule, since, limits, now)


def _held(
    connection: Connection, incident_id: str, rule: str, since: float, limits: FleetLimits, now: datetime
) -> None:
    row = incident_row(connection, incident_id)
    if row is None or row.resource is None:
        return
    resource = Resource.model_validate(row.resource)
    values = {"incident_id": incident_id, "rule": rule[:100], "of_group": resource.group, "since": since}
    upsert(connection, held_heals, values, ("incident_id",))
    if rule == RULE and hold(connection, resource, limits, now) is None:
        # Freed between the look that held it and now, when nobody was known to wait.
        change(connection, incident_id, wake_at=stamp(now))


def has(connection: Connection, incident_id: str) -> bool:
    """Whether an incident's repair counts already: not where an older release began it."""
    begun = (places.c.incident_id == incident_id, places.c.promised_until.is_(None))
    return connection.execute(select(places.c.incident_id).where(*begun)).first() is not None


def held_by(connection: Connection, incident_id: str) -> str:
    """The rule that holds a resting heal; empty where none does."""
    found = connection.execute(select(held_heals.c.rule).where(held_heals.c.incident_id == incident_id)).scalar()
    return str(found or "")


def state(connection: Connection, limits: FleetLimits, now: datetime) -> list[dict[str, Any]]:
    """The budget of each group there is, with who uses it and who waits; `""` stands for what has no group."""
    taken = _taken(connection, now)
    waiting = connection.execute(
        select(held_heals, incidents.c.number)
        .join(incidents, incidents.c.id == held_heals.c.incident_id)
        .where(held_heals.c.rule == RULE, incidents.c.phase != "closed")
        .order_by(held_heals.c.since)
    ).all()
    begun = {row.incident_id for row in taken if row.promised_until is None}
    waiting = [row for row in waiting if row.incident_id not in begun]
    groups = {*limits.machines, *(row.of_group for row in taken), *(row.of_group for row in waiting)}
    return [
        {
            "group": group,
            "machines": limits.machines.get(group),
            "allowed": limits.places(group) if group else None,
            "used": len({row.machine for row in taken if row.of_group == group}),
            "incidents": [_told(row) for row in taken if row.of_group == group],
            "waiting": [{"number": row.number, "since": iso(row.since)} for row in waiting if row.of_group == group],
        }
        for group in sorted(groups)
    ]


def _taken(connection: Connection, now: datetime, group: str | None = None) -> Sequence[Row[Any]]:
    """The places that count now. A closed incident's would not, should one ever be left."""
    counted: list[ColumnElement[bool]] = [
        or_(places.c.promised_until.is_(None), places.c.promised_until > stamp(now)),
        incidents.c.phase != "closed",
    ]
    if group is not None:
        counted.append(places.c.of_group == group)
    return connection.execute(
        select(places, incidents.c.number, incidents.c.phase)
        .join(incidents, incidents.c.id == places.c.incident_id)
        .where(*counted)
        .order_by(places.c.since, incidents.c.number)
    ).all()


def _longest_waiting(connection: Connection, group: str) -> Row[Any] | None:
    """The incident that has rested longest for want of a place in the group."""
    return connection.execute(
        select(incidents)
        .join(held_heals, held_heals.c.incident_id == incidents.c.id)
        .outerjoin(places, places.c.incident_id == incidents.c.id)
        .where(
            held_heals.c.rule == RULE,
            held_heals.c.of_group == group,
            incidents.c.phase == "waiting",
            places.c.incident_id.is_(None),
        )
        .order_by(held_heals.c.since, incidents.c.number)
        .limit(1)
    ).first()


def _promise(connection: Connection, row: Row[Any], group: str, now: datetime) -> None:
    """Wake an incident, and keep a place for it for a moment."""
    resource = Resource.model_validate(row.resource)
    values = {"incident_id": row.id, "machine": resource.host_key, "resource": resource.key, "attempt": 0}
    until = stamp(now) + PROMISE_SECONDS
    connection.execute(places.insert().values(**values, of_group=group, since=stamp(now), promised_until=until))
    change(connection, row.id, wake_at=stamp(now))


def _told(row: Row[Any]) -> dict[str, Any]:
    return {
        "number": row.number,
        "resource": row.resource,
        "phase": row.phase,
        "since": iso(row.since),
        "promised": row.promised_until is not None,
    }
