"""What the alerts of one commit change: collected while they are decided, then written a statement a table."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from graph.records import Alert
from graph.rules.notifying import CALLS
from server.store import places, tallies
from server.store.bulk import change_alike, insert_rows
from server.store.intake_facts import Holding, Incoming, SeenAlert
from server.store.notices import NoticeKind, payload_of
from server.store.rows import stamp
from server.store.schema import alerts, incidents, leases, timeline
from server.store.telling_tables import calls, outbox
from server.store.thawing import thaw

_INCIDENT = (
    "number", "id", "resource_kind", "resource_id", "phase", "issue_types", "resource", "outcome", "received_at",
    "updated_at", "wake_at", "leg", "failures", "fresh", "recheck", "withdrawn", "attempts",
)  # fmt: skip
ALERT_COLUMNS = (
    "incident_id", "fingerprint", "starts_at", "status", "body", "count", "first_at", "last_at", "news_at", "joined",
)  # fmt: skip
ALERT_KEY = ("incident_id", "fingerprint")
ALERT_REPLACED = ("starts_at", "status", "body", "count", "last_at", "news_at")
"""Where the incident knows the alert."""
_TIMELINE = ("incident_id", "key", "at", "node", "author", "sentence", "records")
_OUTBOX = ("payload", "next_at", "tries")
_CALLS = ("incident_id", "event", "key", "at", "payload", "told")


class Writes:
    """What is to be written for the alerts of one commit."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.at = stamp(now)
        self._opened: dict[str, tuple[Holding, dict[str, Any]]] = {}
        self._changed: dict[str, Holding] = {}
        self._alerts: dict[tuple[str, str], tuple[Alert, SeenAlert]] = {}
        self._joined: dict[tuple[str, str], str] = {}
        self._told: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._notices: list[dict[str, Any]] = []
        self._let_go: list[str] = []
        self._escalated = 0
        self._seen_again: dict[tuple[str, str], int] = defaultdict(int)

    def opened(self, holding: Holding, columns: Mapping[str, Any]) -> None:
        """A new incident; `columns` are those that the holding does not know."""
        self._opened[holding.id] = (holding, dict(columns))

    def changed(self, holding: Holding) -> None:
        """`holding.changes` are to be written."""
        holding.changes["updated_at"] = self.at
        if not holding.new:
            self._changed[holding.id] = holding

    def remember(self, holding: Holding, one: Incoming, joined: str = "") -> None:
        """Write the alert, or count it once more. `joined`: what is told of it where it is new to the incident."""
        alert, _, starts_at = one
        seen = holding.seen.get(alert.fingerprint)
        if seen is None:
            now = SeenAlert(alert.status, starts_at, 1, self.at)
        else:
            starts_at = seen.starts_at if starts_at is None else starts_at
            news = alert.status != seen.status or starts_at != seen.starts_at
            count = seen.count + 1 if alert.firing else seen.count
            now = SeenAlert(alert.status, starts_at, count, self.at if news else seen.news_at)
        holding.remember(alert.fingerprint, now)
        self._alerts[holding.id, alert.fingerprint] = (alert, now)
        if seen is None and joined:
            self._joined[holding.id, alert.fingerprint] = joined

    def seen_again(self, incident_id: str, fingerprint: str) -> None:
        """A firing that an ended incident knows came once more: it counts, and changes nothing else."""
        self._seen_again[incident_id, fingerprint] += 1

    def tell(self, incident_id: str, key: str, sentence: str, author: str = "self-heal", records: str = "{}") -> None:
        """One sentence of the incident's timeline; the same key replaces it."""
        self._told[incident_id, key] = (incident_id, key, self.at, "server", author, sentence, records)

    def notice_opened(self, holding: Holding, resource: str, kind: NoticeKind, reason: str) -> None:
        """Something people are told of a new incident."""
        about = (holding.id, holding.number, resource, list(holding.issue_types))
        self._notices.append(payload_of(*about, kind, reason, self.now, key="opened"))

    def escalated_at_once(self) -> None:
        """A new incident has its outcome already."""
        self._escalated += 1

    def let_go(self, holding: Holding) -> None:
        """The incident's leases and its place in the fleet's budget end."""
        self._let_go.append(holding.id)

    def write(self, connection: Connection) -> None:
        """All of it."""
        insert_rows(connection, incidents, _INCIDENT, [self._incident_row(*one) for one in self._opened.values()])
        insert_rows(
            connection,
            alerts,
            ALERT_COLUMNS,
            [self._alert_row(incident_id, alert, seen) for (incident_id, _), (alert, seen) in self._alerts.items()],
            key=ALERT_KEY,
            replace=ALERT_REPLACED,
        )
        insert_rows(
            connection,
            timeline,
            _TIMELINE,
            list(self._told.values()),
            key=("incident_id", "key"),
            replace=("at", "node", "author", "sentence", "records"),
        )
        self._write_notices(connection)
        self._write_changes(connection)
        tallies.count(connection, tallies.OUTCOMES, "escalated", by=self._escalated)

    def _incident_row(self, holding: Holding, columns: dict[str, Any]) -> tuple[Any, ...]:
        values = {"number": holding.number, "id": holding.id, "phase": holding.phase, **columns, **holding.changes}
        values["issue_types"] = json.dumps(holding.issue_types)
        return tuple(values.get(name, 0) for name in _INCIDENT)

    def _alert_row(self, incident_id: str, alert: Alert, seen: SeenAlert) -> tuple[Any, ...]:
        body = alert.model_dump_json(by_alias=True)
        first = (incident_id, alert.fingerprint, seen.starts_at, seen.status, body)
        joined = self._joined.get((incident_id, alert.fingerprint))
        return (*first, seen.count, self.at, self.at, seen.news_at, joined)

    def _write_notices(self, connection: Connection) -> None:
        texts = [json.dumps(payload) for payload in self._notices]
        insert_rows(connection, outbox, _OUTBOX, [(text, self.at, 0) for text in texts])
        called = [
            (payload["incident_id"], payload["event"], payload["key"], self.at, text, "[]")
            for payload, text in zip(self._notices, texts, strict=True)
            if payload["event"] in CALLS
        ]
        insert_rows(connection, calls, _CALLS, called)

    def _write_changes(self, connection: Connection) -> None:
        """One statement for all incidents that change in the same way."""
        alike: dict[tuple[tuple[str, Any], ...], list[str]] = defaultdict(list)
        for holding in self._changed.values():
            alike[tuple(holding.changes.items())].append(holding.id)
        for changes, ids in alike.items():
            change_alike(connection, incidents, "id", ids, dict(changes))
        for incident_id in self._let_go:
            connection.execute(leases.delete().where(leases.c.incident_id == incident_id))
            places.release(connection, incident_id, self.now)
        for (incident_id, fingerprint), times in self._seen_again.items():
            key = (alerts.c.incident_id == incident_id, alerts.c.fingerprint == fingerprint)
            connection.execute(update(alerts).where(*key).values(count=alerts.c.count + times, last_at=self.at))
        again = sorted({incident_id for incident_id, _ in self._seen_again})
        for incident_id in again:
            thaw(connection, incident_id)  # Whether it still fires is asked by its labels.
        change_alike(connection, incidents, "id", again, {"recheck": 1, "updated_at": self.at})
