"""What holds beyond one incident: pauses by scope, freeze windows, demotions, and how much was done lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, or_, select

from graph.ports import FleetView, Hold
from graph.records import Resource
from graph.rules.budget import FleetLimits
from graph.rules.flapping import Damping
from graph.rules.freezing import FreezeWindow, frozen
from graph.rules.scopes import ALL, covers
from graph.rules.storms import StormRules
from server.store import auditing, flapping, ladder, limits, quick, storm_holding
from server.store.people_tables import pauses
from server.store.rows import iso, moment, stamp, upsert
from server.store.schema import incidents, journal, leases
from server.store.who import Who

HOUR_SECONDS = 3600.0
_LASTING = or_(pauses.c.until.is_(None), pauses.c.until > bindparam("now"))
_IN_FORCE = select(pauses).where(_LASTING).order_by(pauses.c.at)


@dataclass(frozen=True)
class FleetRules:
    """What the settings say of the fleet. `demotes`: whether a repair that went wrong makes its pair ask. Without
    `storms` and `damping`, neither storms nor flapping are looked for."""

    freeze_windows: tuple[FreezeWindow, ...] = ()
    max_actions_per_hour: int = 12
    demotes: bool = True
    limits: FleetLimits = field(default_factory=FleetLimits)
    storms: StormRules | None = None
    damping: Damping | None = None


def pause(connection: Connection, who: Who, reason: str, scope: str, until: datetime | None, now: datetime) -> None:
    """Hold every repair within a scope that has not begun, for good or for a time."""
    end = stamp(until) if until else None
    values = {"scope": scope, "by": who.name, "reason": reason, "at": stamp(now), "until": end}
    upsert(connection, pauses, values, ("scope",))
    auditing.record(connection, who, "pause", None, now, reason=reason, scope=scope, until=iso(end))


def resume(connection: Connection, who: Who, scope: str, now: datetime) -> bool:
    """Let the repairs of a scope go on. False where it was not paused."""
    gone = connection.execute(pauses.delete().where(pauses.c.scope == scope))
    auditing.record(connection, who, "resume", None, now, scope=scope)
    return gone.rowcount > 0


def all_pauses(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """What is paused now, oldest first: `{"scope", "by", "reason", "at", "until"}`."""
    return [
        {"scope": row.scope, "by": row.by, "reason": row.reason, "at": iso(row.at), "until": iso(row.until)}
        for row in _in_force(connection, stamp(now))
    ]


def paused(connection: Connection, kind: str, group: str, resource_id: str, now: float) -> str | None:
    """Why and by whom repairs of a resource are paused, or None."""
    for row in _in_force(connection, now):
        if covers(row.scope, kind, group, resource_id):
            where = "" if row.scope == ALL else f" ({row.scope})"
            until = f" until {moment(row.until):%Y-%m-%d %H:%M} UTC" if row.until else ""
            return f"by {row.by}{where}{until}" + (f": {row.reason}" if row.reason else "")
    return None


def view(connection: Connection, resource: Resource, rules: FleetRules, now: datetime) -> FleetView:
    """What the safety rules ask of the fleet."""
    about = (resource.kind, resource.group, resource.id)
    return FleetView(
        paused=paused(connection, *about, stamp(now)),
        frozen=frozen(rules.freeze_windows, *about, now),
        storm=storm_holding.held(connection, rules.storms, resource.key, now),
        flapping=flapping.hold(connection, rules.damping, resource.kind, resource.id, now),
        demoted=ladder.demoted(connection, resource.kind),
        **limits.view(connection, resource, rules.limits, now),
    )


def held(connection: Connection, row: Row[Any], windows: Sequence[FreezeWindow], now: datetime) -> Hold | str | None:
    """What holds a side effect of this incident in the moment before it begins: a freeze, or why it is paused."""
    group = str((row.resource or {}).get("group", ""))
    about = (row.resource_kind, group, row.resource_id)
    return paused(connection, *about, stamp(now)) or frozen(windows, *about, now)


def state(connection: Connection, rules: FleetRules, now: datetime) -> dict[str, Any]:
    """All that holds repairs back now, and what is leased, for people to see at a glance."""
    since = stamp(now) - HOUR_SECONDS
    busy = connection.execute(
        select(journal.c.resource, func.count().label("actions"), func.min(journal.c.started_at).label("oldest"))
        .where(journal.c.started_at > since)
        .group_by(journal.c.resource)
        .having(func.count() >= rules.max_actions_per_hour)
    ).all()
    held_leases = connection.execute(
        select(leases.c.target, incidents.c.number, incidents.c.phase)
        .join(incidents, incidents.c.id == leases.c.incident_id)
        .order_by(leases.c.target)
    ).all()
    return {
        "pauses": all_pauses(connection, now),
        "freeze_windows": [_window(window, now) for window in rules.freeze_windows],
        "rate_limited": [
            {"resource": row.resource, "actions": row.actions, "until": iso(row.oldest + HOUR_SECONDS)} for row in busy
        ],
        "leases": [{"target": row.target, "number": row.number, "phase": row.phase} for row in held_leases],
        "demotions": ladder.in_force(connection),
        **limits.state(connection, rules.limits, now),
        "storms": storm_holding.all_told(connection),
    }


def note_windows(connection: Connection, windows: Sequence[FreezeWindow], now: datetime) -> None:
    """Windows are changed in a file: the log should still say since when which were in force."""
    told = [window.model_dump(mode="json") for window in windows]
    known, _ = auditing.entries(connection, 1, None, what="freeze_windows")
    if told != (known[0]["detail"]["windows"] if known else []):
        auditing.record(connection, "settings", "freeze_windows", None, now, windows=told)


def _window(window: FreezeWindow, now: datetime) -> dict[str, Any]:
    until = window.until(now)
    upcoming = window.last_start(now) if until else window.next_start(now)
    return {
        "name": window.name,
        "scope": window.scope,
        "reason": window.reason,
        "active": until is not None,
        "next_from": iso(stamp(upcoming)),
        "next_until": iso(stamp(until or window.end_of(upcoming))),
        "timezone": window.timezone,
    }


def _in_force(connection: Connection, now: float) -> Sequence[Row[Any]]:
    return quick.rows(connection, _IN_FORCE, {"now": now})
