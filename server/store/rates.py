"""How often was acted in the last hour: on a resource, by an action anywhere, in a group."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from graph.ports import Hold, JournalRequest
from graph.rules.budget import HOUR, FleetLimits, too_often
from server.store import quick
from server.store.budget_tables import recent_starts
from server.store.rows import iso, moment, stamp, upsert
from server.store.schema import journal

_OF_RESOURCE = select(func.count(), func.min(journal.c.started_at)).where(
    journal.c.resource == bindparam("key"),
    journal.c.started_at > bindparam("since"),
    journal.c.idempotency_key != bindparam("but"),
)


def note(connection: Connection, request: JournalRequest, group: str) -> None:
    """A side effect begins. What an hour has passed over is forgotten."""
    connection.execute(recent_starts.delete().where(recent_starts.c.at <= stamp(request.now - HOUR)))
    values = {"idempotency_key": request.idempotency_key, "action": request.action, "of_group": group}
    upsert(connection, recent_starts, {**values, "at": stamp(request.now)}, ("idempotency_key",))


def of_resource(connection: Connection, resource_key: str, now: datetime, but: str = "") -> tuple[int, datetime | None]:
    """How many side effects a resource had in the last hour, and when the oldest of them began."""
    found = quick.first(connection, _OF_RESOURCE, {"key": resource_key, "since": stamp(now - HOUR), "but": but})
    assert found is not None, "a count is a row"
    return found[0], moment(found[1]) if found[1] is not None else None


def group_spent(connection: Connection, group: str, limits: FleetLimits, now: datetime, but: str = "") -> Hold | None:
    """Why a group gets no more actions now, or None."""
    limit = limits.group_rate(group) if group else None
    if limit is None:
        return None
    of = recent_starts.c.of_group == group
    return too_often(f"actions in group {group}", _starts(connection, of, now, but), limit, now)


def actions_spent(connection: Connection, limits: FleetLimits, now: datetime, but: str = "") -> Mapping[str, Hold]:
    """The actions that are begun nowhere now, and why."""
    found = {
        action: too_often(
            f"{action} on all resources", _starts(connection, recent_starts.c.action == action, now, but), limit, now
        )
        for action, limit in limits.actions_per_hour.items()
    }
    return {action: held for action, held in found.items() if held is not None}


def state(connection: Connection, limits: FleetLimits, now: datetime) -> list[dict[str, Any]]:
    """The limits of groups and actions that are reached: `{"what", "why", "until"}`."""
    of_groups = {f"group {name}": group_spent(connection, name, limits, now) for name in sorted(limits.machines)}
    of_actions = {f"action {name}": held for name, held in sorted(actions_spent(connection, limits, now).items())}
    return [
        {"what": what, "why": held.reason, "until": iso(stamp(held.until))}
        for what, held in (of_groups | of_actions).items()
        if held is not None
    ]


def _starts(connection: Connection, of: ColumnElement[bool], now: datetime, but: str) -> list[datetime]:
    recent = (recent_starts.c.at > stamp(now - HOUR), recent_starts.c.idempotency_key != but)
    found = connection.execute(select(recent_starts.c.at).where(of, *recent).order_by(recent_starts.c.at.desc()))
    return [moment(at) for at in found.scalars()]
