"""Accepting alerts: what came in together is decided by `graph.rules.intake` in its order, and written in one go.

All that is known is read first, then nothing but pure decisions, then the writes: a statement a table, however many
alerts there are. It happens in one write transaction, so nobody else decides at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from graph.records import Alert, AlertGroup, Outcome, Times
from graph.rules.classify import Placed, cleaned
from graph.rules.intake import Decision, Intake, intake
from server.store.bulk import next_numbers
from server.store.intake_facts import Holding, Known, key_of, known
from server.store.intake_writes import Writes
from server.store.legs import Leg, begin
from server.store.rows import iso, moment, new_id, stamp
from server.store.schema import StoreError
from server.store.taking import TAKEN_OVER

Place = Callable[[Alert], Placed]

RESTING_PHASES = ("queued", "waiting", "waiting_approval")


class Overloaded(StoreError):
    """More is waiting than may wait: nothing was taken on."""


class CannotOpen(StoreError):
    """The alerts open no incident that could be healed."""


UNLIMITED = 2**31
_QUEUED = "SELECT count(*) FROM incidents WHERE phase = 'queued'"


@dataclass(frozen=True)
class Accepted:
    """What became of one alert."""

    incident_id: str | None
    number: int | None
    decision: Decision
    reason: str


@dataclass(frozen=True)
class Arrival:
    """A group of alerts that asks to be taken on. `max_queued`: with more incidents queued, it is not."""

    group: AlertGroup
    place: Place
    max_queued: int


Answer = list[Accepted] | Overloaded


def accept(connection: Connection, group: AlertGroup, place: Place, now: datetime, max_queued: int) -> list[Accepted]:
    """Take on a group of alerts. Raises Overloaded before anything is written."""
    [answer] = accept_all(connection, [Arrival(group, place, max_queued)], now)
    if isinstance(answer, Overloaded):
        raise answer
    return answer


def accept_all(connection: Connection, arrivals: Sequence[Arrival], now: datetime) -> list[Answer]:
    """Take on groups of alerts, one after the other; each is answered as if it had come alone.

    The alerts must have been cleaned (`graph.rules.classify.cleaned`).
    """
    placed = [[(alert, arrival.place(alert)) for alert in arrival.group.alerts] for arrival in arrivals]
    taking = _Taking(connection, [pair for pairs in placed for pair in pairs], now)
    answers: list[Answer] = []
    for arrival, pairs in zip(arrivals, placed, strict=True):
        if taking.waiting >= arrival.max_queued:
            said = f"{taking.waiting} incidents wait to be started (at most {arrival.max_queued})"
            answers.append(Overloaded(said))
        else:
            answers.append([taking.take(alert, place) for alert, place in pairs])
    taking.writes.write(connection)
    return answers


class _Taking:
    """One commit's alerts being decided, each in the light of those before it."""

    def __init__(self, connection: Connection, placed: Sequence[tuple[Alert, Placed]], now: datetime) -> None:
        self.waiting = int(connection.exec_driver_sql(_QUEUED).scalar_one())
        self.writes = Writes(now)
        self._connection = connection
        self._known: Known = known(connection, placed)
        self._numbers: list[int] = []
        self._to_open = len({key_of(place) for alert, place in placed if alert.firing} - self._known.holdings.keys())

    def take(self, alert: Alert, placed: Placed) -> Accepted:
        """Decide about one alert, and note what follows."""
        holding = self._known.holdings.get(key_of(placed))
        before = None
        if holding is None and alert.starts_at is not None and self._known.firings:
            before = self._known.firings.get((alert.fingerprint, stamp(alert.starts_at)))
        decided = intake(alert, placed, holding.open if holding is not None else None, before)
        if decided.decision == "opened":
            return self._open(alert, placed, decided)
        if holding is not None:
            self._apply(alert, placed, decided, holding)
        elif decided.recheck and decided.incident_id is not None:
            self.writes.seen_again(decided.incident_id, alert.fingerprint)
        number = holding.number if holding is not None else None
        return Accepted(decided.incident_id, number, decided.decision, decided.reason)

    def _open(self, alert: Alert, placed: Placed, decided: Intake) -> Accepted:
        writes = self.writes
        outcome = None
        if decided.escalate:
            times = Times(fired=alert.starts_at, received=writes.now, closed=writes.now)
            outcome = Outcome(status="escalated", rule="unplaced", reason=decided.escalate, times=times)
        phase = "escalated" if outcome else "queued"
        holding = Holding(
            new_id(), self._number(), phase, [placed.issue_type], outcome.status if outcome else None, new=True
        )
        self._known.holdings[key_of(placed)] = holding
        self.waiting += outcome is None
        columns = {
            "resource_kind": placed.resource_kind,
            "resource_id": placed.resource_id,
            "resource": placed.resource_json,
            "outcome": outcome.model_dump_json() if outcome else None,
            "received_at": writes.at,
            "updated_at": writes.at,
            "wake_at": None,
            "leg": 1,
            "attempts": "[]",
        }
        writes.opened(holding, columns)
        writes.remember(holding, alert)
        received = f"received {alert.name}: {_summary(alert)}"
        writes.tell(holding.id, "received", received, author="alertmanager")
        resource = f"{placed.resource_kind}/{placed.resource_id}"
        if outcome is not None:
            records = f'{{"outcome": {columns["outcome"]}}}'
            writes.tell(holding.id, "outcome", f"escalated to a human: {outcome.reason}", records=records)
            writes.notice_opened(holding, resource, "escalated", outcome.reason)
        elif placed.announced:
            writes.notice_opened(holding, resource, "opened", received)
        return Accepted(holding.id, holding.number, "opened", decided.reason)

    def _apply(self, alert: Alert, placed: Placed, decided: Intake, holding: Holding) -> None:
        writes = self.writes
        if decided.decision == "joined":
            if writes.remember(holding, alert):
                writes.tell(holding.id, f"joined:{alert.fingerprint}", decided.reason, author="alertmanager")
            holding.changes["withdrawn"] = 0
            if placed.issue_type not in holding.issue_types:
                holding.issue_types.append(placed.issue_type)
                holding.changes["issue_types"] = json.dumps(holding.issue_types)
        elif decided.decision == "resolved":
            writes.remember(holding, alert)
            key = f"resolved:{alert.fingerprint}:{iso(stamp(alert.ends_at)) if alert.ends_at else ''}"
            writes.tell(holding.id, key, decided.reason, author="alertmanager")
        if decided.closes and holding.phase == TAKEN_OVER:
            sentence = "every alert has resolved; it stays with who took it over until they close it or their time is up"
            writes.tell(holding.id, f"all-resolved:{writes.at}", sentence)
        elif decided.closes:
            holding.phase = holding.changes["phase"] = "closed"
            writes.let_go(holding)
            del self._known.holdings[key_of(placed)]
        if decided.withdraws:
            holding.changes["withdrawn"] = 1
            if holding.phase in RESTING_PHASES:
                holding.phase = "queued"
                holding.changes |= {"phase": "queued", "wake_at": None}
        writes.changed(holding)

    def _number(self) -> int:
        if not self._numbers:
            count, self._to_open = max(self._to_open, 1), 0
            self._numbers = next_numbers(self._connection, "incidents", "number", count)
        return self._numbers.pop(0)


def _summary(alert: Alert) -> str:
    since = f"firing since {moment(stamp(alert.starts_at)):%H:%M:%S} UTC" if alert.starts_at else "firing"
    return alert.annotations.get("summary") or alert.annotations.get("description") or since


def open_held(
    connection: Connection, group: AlertGroup, place: Place, now: datetime, holder: str, lease_seconds: float
) -> Leg:
    """Open an incident whose first leg is taken in the same transaction: nobody else can begin to heal it.

    Raises CannotOpen where the alerts open none, naming the incident that holds the resource, or what is missing.
    """
    clean = group.model_copy(update={"alerts": tuple(cleaned(alert) for alert in group.alerts)})
    opened = [item for item in accept(connection, clean, place, now, UNLIMITED) if item.decision == "opened"]
    if not opened or opened[0].incident_id is None:
        raise CannotOpen("these alerts open no incident: their resource is held by an open one, or they are resolved")
    leg = begin(connection, opened[0].incident_id, 1, holder, now, lease_seconds)
    if leg is None:
        raise CannotOpen(f"these alerts can't be acted on: {opened[0].reason}")
    return leg
