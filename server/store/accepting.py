"""Accepting alerts: what came in together is decided by `graph.rules.intake` in its order, and written in one go.

All that is known is read first, then nothing but pure decisions, then the writes: a statement a table, however many
alerts there are. It happens in one write transaction, so nobody else decides at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from sqlalchemy import Connection

from graph.records import Alert, AlertGroup, Outcome, Times
from graph.rules.classify import Placed, cleaned
from graph.rules.intake import Decision, Intake, intake
from server.store.bulk import next_numbers, one_number
from server.store.intake_facts import Holding, Incoming, Known, incoming_of, known
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


class Accepted(NamedTuple):
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
    incoming = [[incoming_of(alert, arrival.place) for alert in arrival.group.alerts] for arrival in arrivals]
    taking = _Taking(connection, list(chain.from_iterable(incoming)), now)
    answers: list[Answer] = []
    for arrival, ones in zip(arrivals, incoming, strict=True):
        if taking.waiting >= arrival.max_queued:
            said = f"{taking.waiting} incidents wait to be started (at most {arrival.max_queued})"
            answers.append(Overloaded(said))
        else:
            answers.append(list(map(taking.take, ones)))
    taking.writes.write(connection)
    return answers


class _Taking:
    """One commit's alerts being decided, each in the light of those before it."""

    def __init__(self, connection: Connection, incoming: Sequence[Incoming], now: datetime) -> None:
        self.waiting = one_number(connection, _QUEUED)
        self.writes = Writes(now)
        self._connection = connection
        self._known: Known = known(connection, incoming)
        self._numbers: list[int] = []
        self._to_open = len({one.placed.key for one in incoming if one.alert.firing} - self._known.holdings.keys())

    def take(self, one: Incoming) -> Accepted:
        """Decide about one alert, and note what follows."""
        alert, placed, starts_at = one
        holding = self._known.holdings.get(placed.key)
        if holding is not None:
            decided = intake(alert, placed, holding.open)
            self._apply(one, decided, holding)
            return Accepted(decided.incident_id, holding.number, decided.decision, decided.reason)
        before = None if starts_at is None else self._known.firings.get((alert.fingerprint, starts_at))
        decided = intake(alert, placed, None, before)
        if decided.decision == "opened":
            return self._open(one, decided)
        if decided.recheck and decided.incident_id is not None:
            self.writes.seen_again(decided.incident_id, alert.fingerprint)
        return Accepted(decided.incident_id, None, decided.decision, decided.reason)

    def _open(self, one: Incoming, decided: Intake) -> Accepted:
        (alert, placed, _), writes = one, self.writes
        outcome = None
        if decided.escalate:
            times = Times(fired=alert.starts_at, received=writes.now, closed=writes.now)
            outcome = Outcome(status="escalated", rule="unplaced", reason=decided.escalate, times=times)
        phase = "escalated" if outcome else "queued"
        holding = Holding(
            new_id(), self._number(), phase, [placed.issue_type], outcome.status if outcome else None, new=True
        )
        self._known.holdings[placed.key] = holding
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
        writes.remember(holding, one)
        received = f"received {alert.name}: {_summary(alert)}"
        writes.tell(holding.id, "received", received, author="alertmanager")
        resource = f"{placed.resource_kind}/{placed.resource_id}"
        if outcome is not None:
            records = f'{{"outcome": {columns["outcome"]}}}'
            writes.tell(holding.id, "outcome", f"escalated to a human: {outcome.reason}", records=records)
            writes.notice_opened(holding, resource, "escalated", outcome.reason)
            writes.escalated_at_once()
        elif placed.announced:
            writes.notice_opened(holding, resource, "opened", received)
        return Accepted(holding.id, holding.number, "opened", decided.reason)

    def _apply(self, one: Incoming, decided: Intake, holding: Holding) -> None:
        (alert, placed, _), writes = one, self.writes
        if decided.decision == "joined":
            writes.remember(holding, one, joined=decided.reason)
            if holding.withdrawn:
                holding.changes["withdrawn"], holding.withdrawn = 0, False
            if placed.issue_type not in holding.issue_types:
                holding.issue_types.append(placed.issue_type)
                holding.changes["issue_types"] = json.dumps(holding.issue_types)
        elif decided.decision == "resolved":
            writes.remember(holding, one)
            key = f"resolved:{alert.fingerprint}:{iso(stamp(alert.ends_at)) if alert.ends_at else ''}"
            writes.tell(holding.id, key, decided.reason, author="alertmanager")
        if decided.closes and holding.phase == TAKEN_OVER:
            sentence = (
                "every alert has resolved; it stays with who took it over until they close it or their time is up"
            )
            writes.tell(holding.id, f"all-resolved:{writes.at}", sentence)
        elif decided.closes:
            holding.phase = holding.changes["phase"] = "closed"
            writes.let_go(holding)
            del self._known.holdings[placed.key]
        if decided.withdraws:
            holding.changes["withdrawn"], holding.withdrawn = 1, True
            if holding.phase in RESTING_PHASES:
                holding.phase = "queued"
                holding.changes |= {"phase": "queued", "wake_at": None}
        if holding.changes:  # A repeat changes nothing of the incident itself.
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
