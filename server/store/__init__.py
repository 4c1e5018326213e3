"""The memory of Self-Heal: incidents, alerts, timeline, journal, approvals, leases and notices in one database.

`Store` is also the journal, fleet, directives, chronicle and archive that the graph's nodes are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from agents.legs import LegEnd
from agents.reasoning.ledger import ModelCall, Spent
from agents.reasoning.lore import PastIncident
from graph.ports import AlreadyStarted, Entry, FleetView, Hold, JournalRequest, Refusal, SentCommand, Started
from graph.records import ActionResult, Approval, Incident, Plan, Resource, Stop
from server.store import (
    chronicle,
    commands,
    deciding,
    fleet,
    legs,
    model_calls,
    past,
    preparing,
    reading,
    recalling,
    sideeffects,
    takeover,
    taking,
)
from server.store.accepting import Accepted, Overloaded
from server.store.counting import Counting
from server.store.deciding import Conflict, NotFound
from server.store.deliveries import Delivery, Telling
from server.store.engine import Database, StoreBusy
from server.store.fleet import FleetRules
from server.store.legs import Failed, Leg, Runnable
from server.store.notices import Notice
from server.store.outgoing import Outgoing
from server.store.people import People
from server.store.plots import Plots
from server.store.reading import Page
from server.store.retention import Retention
from server.store.rows import incident_record, incident_row, upsert
from server.store.schema import TO_RECHECK, StoreError, evidence_raw, incidents
from server.store.signing_in import SigningIn
from server.store.silences import Silences
from server.store.storm_verbs import Storms
from server.store.taking_on import TakingOn
from server.store.who import Who
from server.store.workers import Workers

__all__ = [
    "Accepted",
    "Conflict",
    "Delivery",
    "Failed",
    "FleetRules",
    "Leg",
    "NotFound",
    "Notice",
    "Overloaded",
    "Page",
    "Runnable",
    "Store",
    "StoreBusy",
    "StoreError",
    "Telling",
    "Who",
]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store(TakingOn, People, Outgoing, Counting):
    """One database, opened by one process. All times are taken from `now`."""

    def __init__(
        self, database: Database, now: Callable[[], datetime] = _utc_now, rules: FleetRules | None = None
    ) -> None:
        super().__init__(database, now, rules or FleetRules())
        self.signing_in = SigningIn(database, now)
        self.plots = Plots(database, now)
        self.retention = Retention(database, now)
        self.silences = Silences(database, now, self._changed)
        self.workers = Workers(database, now)
        self.storms = Storms(database, now, self._rules.storms, self._changed)

    @classmethod
    def open(cls, url: str, now: Callable[[], datetime] = _utc_now, rules: FleetRules | None = None) -> Store:
        """Open (and create where it is new) the database. Raises StoreError."""
        database = Database.open(url)
        if database.clock is not None and now is _utc_now:
            now = database.clock.now
        return cls(database, now, rules)

    # -- reading ----------------------------------------------------------------------------------------

    async def incidents(
        self,
        status: str | None = None,
        resource: str | None = None,
        limit: int = 50,
        cursor: int | None = None,
        search: str | None = None,
    ) -> Page:
        """A page of incidents, newest first. `search`: a number, or part of a resource, an alert's name or a cause."""
        return await self._db.read(lambda c: reading.page(c, status, resource, limit, cursor, search))

    async def incident(self, incident_id: str) -> dict[str, Any] | None:
        """The whole record of an incident, by id or number."""
        return await self._db.read(lambda c: reading.whole(c, incident_id))

    async def incident_id(self, id_or_number: str) -> str | None:
        row = await self._db.read(lambda c: incident_row(c, id_or_number))
        return None if row is None else str(row.id)

    async def timeline(self, incident_id: str) -> list[dict[str, Any]]:
        return await self._db.read(lambda c: reading.timeline_of(c, incident_id))

    async def waiting_plan(self, incident_id: str) -> Plan | None:
        """The plan a human is asked about, or None."""
        row = await self._db.read(lambda c: deciding.latest_request(c, incident_id))
        return Plan.model_validate(row.plan) if row is not None and row.state == "waiting" else None

    async def record_of(self, incident_id: str) -> Incident | None:
        """The incident as a heal sees it, or None."""

        def read(connection: Connection) -> Incident | None:
            row = incident_row(connection, incident_id)
            return None if row is None else incident_record(connection, row)

        return await self._db.read(read)

    async def resource_of(self, incident_id: str) -> Resource | None:
        row = await self._db.read(lambda c: incident_row(c, incident_id))
        return Resource.model_validate(row.resource) if row is not None and row.resource else None

    async def recent(self, resource_key: str, limit: int = 5) -> list[str]:
        return await self._db.read(lambda c: reading.recent(c, resource_key, limit))

    async def past(self, incident: Incident, causes: Sequence[str], limit: int = 5) -> list[PastIncident]:
        """Ended incidents like this one, most like it first (see `agents.reasoning.lore.Lore`)."""
        return await self._db.read(lambda c: past.like(c, incident, causes, limit))

    async def under_way(self, resource_key: str) -> str | None:
        return await self._db.read(lambda c: reading.under_way(c, resource_key))

    async def ready(self) -> None:
        """Raises StoreError where the database can't be read and written."""
        if self._db.failing is None:
            return await self._db.write(preparing.glance)
        await self._db.write(preparing.try_out)
        await self._db.write(preparing.tried_out)
        self._db.failing = None

    # -- legs -------------------------------------------------------------------------------------------

    async def runnable(self, limit: int = 100) -> list[Runnable]:
        now = self._now()
        return await self._db.read(lambda c: legs.runnable(c, now, limit))

    async def next_wake(self) -> datetime | None:
        return await self._db.glance(legs.next_wake)

    async def begin_leg(self, incident_id: str, leg: int, holder: str, lease_seconds: float) -> Leg | None:
        # Leases go by the time of the transaction: a process may be stopped for long between asking and writing.
        return await self._db.write(lambda c: legs.begin(c, incident_id, leg, holder, self._now(), lease_seconds))

    async def claim(self, worker: str, lease_seconds: float, limit: int) -> list[Leg]:
        """At most so many legs that may run, now this worker's."""
        now = self._now()
        if not await self._db.glance(lambda c: legs.any_runnable(c, now)):
            return []
        return await self._db.write(lambda c: legs.claim(c, worker, self._now(), lease_seconds, limit))

    async def renew(self, leases: Sequence[tuple[str, str]], lease_seconds: float) -> set[tuple[str, str]]:
        """Keep leases, by incident and holder; returns those that were kept."""
        return await self._db.write(lambda c: legs.renew(c, leases, self._now(), lease_seconds))

    async def end_leg(self, incident_id: str, leg: int, holder: str, end: LegEnd | Failed) -> bool:
        written = await self._patiently(lambda c: legs.end(c, incident_id, leg, holder, end, self._now(), self._rules))
        self._changed(incident_id)
        return written

    async def take_back(self) -> int:
        """Legs whose holder let its lease run out become runnable again, and humans whose time is up let go.

        Returns how many legs."""
        now = self._now()
        # Asked for at every sweep, and nearly always in vain.
        if not await self._db.glance(lambda c: takeover.any_lost(c, now) or taking.any_run_out(c, now)):
            return 0
        over, back = await self._db.write(lambda c: (taking.run_out(c, now), takeover.take_back(c, self._now())))
        for incident_id in over:
            self._changed(incident_id)
        return back

    async def start_over(self) -> int:
        """At the start of the only process on this database: what ran before it died is runnable at once."""
        await self.workers.forget_all()
        now = self._now()
        return await self._db.write(lambda c: takeover.start_over(c, now))

    async def to_recheck(self) -> list[Incident]:
        """Closed incidents whose firing came again: does the condition still hold?"""

        def work(connection: Connection) -> list[Incident]:
            rows = connection.execute(
                select(incidents)
                .where(TO_RECHECK, incidents.c.phase == "closed")
                .order_by(incidents.c.number)
                .limit(20)
            )
            return [incident_record(connection, row) for row in rows.all()]

        return await self._db.read(work)

    async def rechecked(self, incident_id: str, still_firing: bool | None, reason: str) -> None:
        now = self._now()
        await self._db.write(lambda c: deciding.rechecked(c, incident_id, still_firing, reason, now))
        self._changed(incident_id)

    # -- the ports of the graph: Journal, Fleet, Directives, Chronicle, EvidenceArchive ----------------------

    async def find(self, idempotency_key: str) -> AlreadyStarted | None:
        return await self._db.glance(lambda c: sideeffects.find(c, idempotency_key))

    async def start(self, request: JournalRequest) -> Started | AlreadyStarted | Hold | Refusal:
        return await self._db.write(lambda c: sideeffects.start(c, self._timed(request), self._rules))

    async def restart(self, request: JournalRequest) -> Started | Hold | Refusal:
        return await self._db.write(lambda c: sideeffects.restart(c, self._timed(request), self._rules))

    def _timed(self, request: JournalRequest) -> JournalRequest:
        """At the time of the transaction: whoever was stopped meanwhile has neither a lease nor time left."""
        return replace(request, now=self._now())

    async def finish(self, result: ActionResult) -> None:
        ended = result if result.finished_at else result.model_copy(update={"finished_at": self._now()})
        await self._patiently(lambda c: sideeffects.finish(c, ended))

    async def view(self, resource: Resource) -> FleetView:
        now = self._now()
        return await self._db.glance(lambda c: fleet.view(c, resource, self._rules, now))

    async def stop(self, incident_id: str) -> Stop | None:
        return await self._db.glance(lambda c: sideeffects.stop(c, incident_id))

    async def tell(self, entry: Entry) -> None:
        await self._db.write(lambda c: chronicle.told(c, entry))
        self._changed(entry.incident_id, "told")

    async def sent(self, command: SentCommand) -> None:
        """Put a command on record, in the moment before it is sent."""
        await self._db.write(lambda c: commands.sent(c, command))

    async def called(self, call: ModelCall) -> None:
        """Put a call of a model on record."""
        await self._db.write(lambda c: model_calls.called(c, call))

    async def spent(self, incident_id: str) -> Spent:
        return await self._db.glance(lambda c: model_calls.spent(c, incident_id))

    async def spent_since(self, at: datetime) -> Spent:
        return await self._db.read(lambda c: model_calls.spent_since(c, at.timestamp()))

    async def model_calls(self, incident_id: str) -> list[dict[str, Any]]:
        """What models were asked for an incident, whole."""
        return await self._db.read(lambda c: model_calls.of_incident(c, incident_id))

    async def approved(self, incident_id: str, approval: Approval) -> None:
        await self._db.write(lambda c: deciding.record_approval(c, incident_id, approval))

    async def keep(self, incident_id: str, evidence_id: str, source: str, raw: str) -> str:
        ref = f"{incident_id}/{evidence_id}"
        values = {"ref": ref, "incident_id": incident_id, "source": source, "raw": raw}
        await self._db.write(lambda c: upsert(c, evidence_raw, values, ("ref",)))
        return ref

    async def read(self, incident_id: str, evidence_id: str) -> str | None:
        return await self.raw(f"{incident_id}/{evidence_id}")

    async def raw(self, ref: str) -> str | None:
        """The whole (redacted) answer behind a piece of evidence."""
        return await self._db.read(lambda c: recalling.raw(c, ref))
