"""What the store knows of the alerts of one commit: all of it is read in a few queries, before anything is decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection

from graph.records import Alert, OutcomeStatus
from graph.rules.classify import Placed
from graph.rules.intake import KnownAlert, OpenIncident
from server.store.bulk import Query, loaded, matching, microseconds
from server.store.taking import TAKEN_OVER

Key = tuple[str, str]
"""Kind and id of a resource."""


_HOLDING = Query(
    (
        *("i.number", "i.id", "i.resource_kind", "i.resource_id", "i.phase", "i.issue_types"),
        "i.withdrawn",
        f"CASE WHEN i.phase = '{TAKEN_OVER}' THEN i.outcome END",
    ),
    # By literal: a parameter would not let the database use its partial index of open incidents.
    "wanted JOIN incidents i ON i.resource_kind = wanted.c1 AND i.resource_id = wanted.c2 AND i.phase != 'closed'",
    ("TEXT", "TEXT"),
)
_OF_ALERT = ("a.incident_id", "a.fingerprint", "a.status", microseconds("a.starts_at"), "a.count")
_SEEN = Query(
    (*_OF_ALERT, microseconds("a.news_at")),
    "wanted JOIN alerts a ON a.incident_id = wanted.c1 AND a.fingerprint = wanted.c2",
    ("TEXT", "TEXT"),
)
_ALL_SEEN = Query(_SEEN.columns, "wanted JOIN alerts a ON a.incident_id = wanted.c1", ("TEXT",))
_KNOWN = Query(
    ("a.fingerprint", microseconds("a.starts_at"), "i.id", "i.number", "i.outcome"),
    "wanted JOIN alerts a ON a.fingerprint = wanted.c1 AND a.starts_at = wanted.c2 "
    "JOIN incidents i ON i.id = a.incident_id",
    ("TEXT", "DOUBLE PRECISION"),
)
MILLION = 1_000_000


class Incoming(NamedTuple):
    """An alert with its place. `starts_at` as a stamp."""

    alert: Alert
    placed: Placed
    starts_at: float | None


def incoming_of(alert: Alert, place: Callable[[Alert], Placed]) -> Incoming:
    """The alert in its place."""
    return Incoming(alert, place(alert), alert.starts_at.timestamp() if alert.starts_at is not None else None)


@dataclass(frozen=True, slots=True)
class SeenAlert:
    """An alert of an incident, as far as the next one of the same fingerprint needs it."""

    status: str
    starts_at: float | None
    count: int
    news_at: float


@dataclass(slots=True)
class Holding:
    """An open incident. Kept in step while the alerts of a commit are decided, so that each sees those before it."""

    id: str
    number: int
    phase: str
    issue_types: list[str]
    outcome: OutcomeStatus | None = None
    new: bool = False
    withdrawn: bool = False
    seen: dict[str, SeenAlert] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    """Columns that are to be written."""
    open: OpenIncident = field(init=False)

    def __post_init__(self) -> None:
        self.open = OpenIncident(self.id, self.number, self.statuses, self.outcome)

    def remember(self, fingerprint: str, alert: SeenAlert) -> None:
        """As of now."""
        self.seen[fingerprint] = alert
        self.statuses[fingerprint] = alert.status


@dataclass(frozen=True)
class Known:
    """What was there before."""

    holdings: dict[Key, Holding]
    firings: Mapping[tuple[str, float], KnownAlert]
    """Ended incidents by a firing (fingerprint, startsAt) that they knew."""


def known(connection: Connection, incoming: Sequence[Incoming]) -> Known:
    """Everything about these alerts."""
    holdings = open_incidents(connection, {one.placed.key for one in incoming})
    _read_seen(connection, holdings, incoming)
    unheld = {
        (alert.fingerprint, starts_at)
        for alert, placed, starts_at in incoming
        if starts_at is not None and alert.status == "firing" and placed.key not in holdings
    }
    return Known(holdings, _firings(connection, unheld))


def open_incidents(connection: Connection, keys: Iterable[Key]) -> dict[Key, Holding]:
    """The incidents that hold these resources now."""
    found: dict[Key, Holding] = {}
    for row in matching(connection, _HOLDING, list(keys)):
        number, incident_id, kind, resource_id, phase, issue_types, withdrawn, ended = row
        holding = Holding(incident_id, number, phase, list(_issue_types(issue_types)), _kept(phase, ended))
        holding.withdrawn = bool(withdrawn)
        found[kind, resource_id] = holding
    return found


def _kept(phase: str, ended: Any) -> OutcomeStatus | None:
    """The outcome of an incident that keeps its resource though its heal has ended. Mostly its phase says it."""
    if phase == "escalated" or phase == "declined":
        return "escalated" if phase == "escalated" else "declined"
    outcome = loaded(ended) if phase == TAKEN_OVER else None
    status: OutcomeStatus | None = outcome["status"] if outcome else None
    return status


def _issue_types(value: Any) -> tuple[str, ...]:
    return _parsed(value) if isinstance(value, str) else tuple(value)


@lru_cache(maxsize=256)
def _parsed(issue_types: str) -> tuple[str, ...]:
    """There are few combinations."""
    return tuple(json.loads(issue_types))


def _read_seen(connection: Connection, holdings: Mapping[Key, Holding], incoming: Sequence[Incoming]) -> None:
    """What the holdings know of these alerts; of all their alerts, where one has resolved."""
    pairs: dict[tuple[str, str], None] = {}
    whole: dict[str, None] = {}
    by_id = {holding.id: holding for holding in holdings.values()}
    for alert, placed, _ in incoming:
        if (holding := holdings.get(placed.key)) is not None:
            pairs[holding.id, alert.fingerprint] = None
            if alert.status != "firing":
                whole[holding.id] = None
    for row in matching(connection, _SEEN, list(pairs)):
        _see(by_id, row)
    for row in matching(connection, _ALL_SEEN, [(incident_id,) for incident_id in whole]):
        _see(by_id, row)


def _see(by_id: Mapping[str, Holding], row: Sequence[Any]) -> None:
    incident_id, fingerprint, status, starts_at, count, news_at = row
    since = None if starts_at is None else starts_at / MILLION
    by_id[incident_id].remember(fingerprint, SeenAlert(status, since, count, news_at / MILLION))


def _firings(connection: Connection, unheld: Iterable[tuple[str, float]]) -> dict[tuple[str, float], KnownAlert]:
    """The latest incident that knew each of these, where that has ended."""
    latest: dict[tuple[str, float], Any] = {}
    for row in matching(connection, _KNOWN, list(unheld)):
        firing, number = (row[0], row[1] / MILLION), row[3]
        if firing not in latest or latest[firing][3] < number:
            latest[firing] = row
    decoded = ((firing, row, loaded(row[4])) for firing, row in latest.items())
    return {firing: KnownAlert(row[2], row[3], outcome["status"]) for firing, row, outcome in decoded if outcome}
