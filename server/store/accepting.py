"""Accepting alerts: one transaction decides by `graph.rules.intake` and writes what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from graph.records import Alert, AlertGroup, Outcome, Times
from graph.rules.classify import Placed, cleaned
from graph.rules.intake import Decision, Intake, KnownAlert, OpenIncident, intake
from server.store import places, tallies
from server.store.legs import Leg, begin
from server.store.notices import notice
from server.store.rows import add, change, incident_record, iso, moment, new_id, outcome_of, stamp, tell
from server.store.schema import StoreError, alerts, incidents, leases
from server.store.taking import TAKEN_OVER
from server.store.thawing import thaw

Place = Callable[[Alert], Placed]

RESTING_PHASES = ("queued", "waiting", "waiting_approval")


class Overloaded(StoreError):
    """More is waiting than may wait: nothing was taken on."""


class CannotOpen(StoreError):
    """The alerts open no incident that could be healed."""


UNLIMITED = 2**31


@dataclass(frozen=True)
class Accepted:
    """What became of one alert."""

    incident_id: str | None
    number: int | None
    decision: Decision
    reason: str


def accept(connection: Connection, group: AlertGroup, place: Place, now: datetime, max_queued: int) -> list[Accepted]:
    """Take on a group of alerts. Raises Overloaded before anything is written."""
    waiting = connection.execute(select(func.count()).where(incidents.c.phase == "queued")).scalar_one()
    if waiting >= max_queued:
        raise Overloaded(f"{waiting} incidents wait to be started (at most {max_queued})")
    return [_accept_one(connection, cleaned(alert), place, now) for alert in group.alerts]


def _accept_one(connection: Connection, alert: Alert, place: Place, now: datetime) -> Accepted:
    placed = place(alert)
    row = _holding(connection, placed)
    current = None
    if row is not None:
        ended = outcome_of(row)
        outcome = ended.status if ended and row.phase in ("escalated", "declined", TAKEN_OVER) else None
        current = OpenIncident(incident_record(connection, row), outcome)
    decided = intake(alert, placed, current, _known(connection, alert) if row is None else None)
    if decided.decision == "opened":
        return _open(connection, alert, placed, decided, now)
    if decided.incident_id is not None:
        _apply(connection, alert, placed, decided, row, now)
    number = row.number if row is not None else None
    return Accepted(decided.incident_id, number, decided.decision, decided.reason)


def _holding(connection: Connection, placed: Placed) -> Row[Any] | None:
    return connection.execute(
        select(incidents).where(
            incidents.c.resource_kind == placed.resource_kind,
            incidents.c.resource_id == placed.resource_id,
            incidents.c.phase != "closed",
        )
    ).first()


def _known(connection: Connection, alert: Alert) -> KnownAlert | None:
    if alert.starts_at is None:
        return None
    found = connection.execute(
        select(incidents)
        .join(alerts, alerts.c.incident_id == incidents.c.id)
        .where(alerts.c.fingerprint == alert.fingerprint, alerts.c.starts_at == stamp(alert.starts_at))
        .order_by(incidents.c.number.desc())
    ).first()
    outcome = outcome_of(found) if found is not None else None
    if found is None or outcome is None:
        return None
    return KnownAlert(found.id, found.number, outcome.status)


def _open(connection: Connection, alert: Alert, placed: Placed, decided: Intake, now: datetime) -> Accepted:
    incident_id, at = new_id(), stamp(now)
    outcome = None
    if decided.escalate:
        times = Times(fired=alert.starts_at, received=now, closed=now)
        outcome = Outcome(status="escalated", rule="unplaced", reason=decided.escalate, times=times)
    add(
        connection,
        incidents,
        id=incident_id,
        resource_kind=placed.resource_kind,
        resource_id=placed.resource_id,
        phase="escalated" if outcome else "queued",
        issue_types=[placed.issue_type],
        resource=placed.resource.model_dump(mode="json") if placed.resource else None,
        outcome=outcome.model_dump(mode="json") if outcome else None,
        received_at=at,
        updated_at=at,
        leg=1,
        failures=0,
        fresh=0,
        recheck=0,
        withdrawn=0,
        attempts=[],
    )
    number = connection.execute(select(incidents.c.number).where(incidents.c.id == incident_id)).scalar_one()
    _remember(connection, incident_id, alert, now)
    tell(connection, incident_id, "received", now, f"received {alert.name}: {_summary(alert)}", author="alertmanager")
    if outcome is not None:
        records = {"outcome": outcome.model_dump(mode="json")}
        tell(connection, incident_id, "outcome", now, f"escalated to a human: {outcome.reason}", records=records)
        notice(connection, incident_id, "escalated", outcome.reason, now, key="opened")
        tallies.count(connection, tallies.OUTCOMES, outcome.status)
    elif placed.announced:
        notice(connection, incident_id, "opened", f"received {alert.name}: {_summary(alert)}", now, key="opened")
    return Accepted(incident_id, number, "opened", decided.reason)


def _apply(
    connection: Connection, alert: Alert, placed: Placed, decided: Intake, row: Row[Any] | None, now: datetime
) -> None:
    incident_id = decided.incident_id
    assert incident_id is not None
    values: dict[str, Any] = {"updated_at": stamp(now)}
    if decided.recheck:
        values["recheck"] = 1
        thaw(connection, incident_id)  # Whether it still fires is asked by its labels.
    if decided.decision == "joined" and row is not None:
        new = _remember(connection, incident_id, alert, now)
        if new:
            tell(connection, incident_id, f"joined:{alert.fingerprint}", now, decided.reason, author="alertmanager")
        values |= {"withdrawn": 0}
        if placed.issue_type not in row.issue_types:
            values["issue_types"] = [*row.issue_types, placed.issue_type]
    if decided.decision == "resolved" and row is not None:
        _remember(connection, incident_id, alert, now)
        key = f"resolved:{alert.fingerprint}:{iso(stamp(alert.ends_at)) if alert.ends_at else ''}"
        tell(connection, incident_id, key, now, decided.reason, author="alertmanager")
    if decided.closes and row is not None and row.phase == TAKEN_OVER:
        sentence = "every alert has resolved; it stays with who took it over until they close it or their time is up"
        tell(connection, incident_id, f"all-resolved:{stamp(now)}", now, sentence)
    elif decided.closes:
        values["phase"] = "closed"
        connection.execute(leases.delete().where(leases.c.incident_id == incident_id))
        places.release(connection, incident_id, now)
    if decided.withdraws and row is not None:
        values["withdrawn"] = 1
        if row.phase in RESTING_PHASES:
            values |= {"phase": "queued", "wake_at": None}
    change(connection, incident_id, **values)


def _remember(connection: Connection, incident_id: str, alert: Alert, now: datetime) -> bool:
    """Write the alert, or count it once more. True where it is new to the incident."""
    key = (alerts.c.incident_id == incident_id) & (alerts.c.fingerprint == alert.fingerprint)
    seen = connection.execute(select(alerts).where(key)).mappings().first()
    values: dict[str, Any] = {
        "status": alert.status,
        "body": alert.model_dump(mode="json", by_alias=True),
        "last_at": stamp(now),
    }
    if alert.starts_at is not None:
        values["starts_at"] = stamp(alert.starts_at)
    if seen is None:
        first = {"incident_id": incident_id, "fingerprint": alert.fingerprint, "count": 1, "first_at": stamp(now)}
        add(connection, alerts, **first, news_at=stamp(now), **values)
        return True
    began_anew = values.get("starts_at", seen["starts_at"]) != seen["starts_at"]
    if alert.status != seen["status"] or began_anew:
        values["news_at"] = stamp(now)
    count = seen["count"] + 1 if alert.firing else seen["count"]
    connection.execute(update(alerts).where(key).values(count=count, **values))
    return False


def _summary(alert: Alert) -> str:
    since = f"firing since {moment(stamp(alert.starts_at)):%H:%M:%S} UTC" if alert.starts_at else "firing"
    return alert.annotations.get("summary") or alert.annotations.get("description") or since


def open_held(
    connection: Connection, group: AlertGroup, place: Place, now: datetime, holder: str, lease_seconds: float
) -> Leg:
    """Open an incident whose first leg is taken in the same transaction: nobody else can begin to heal it.

    Raises CannotOpen where the alerts open none, naming the incident that holds the resource, or what is missing.
    """
    opened = [item for item in accept(connection, group, place, now, UNLIMITED) if item.decision == "opened"]
    if not opened or opened[0].incident_id is None:
        raise CannotOpen("these alerts open no incident: their resource is held by an open one, or they are resolved")
    leg = begin(connection, opened[0].incident_id, 1, holder, now, lease_seconds)
    if leg is None:
        raise CannotOpen(f"these alerts can't be acted on: {opened[0].reason}")
    return leg
