"""A real store on a real SQLite file, with a clock that can be moved, for stories about what is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from agents.instance import INSTANCE
from agents.legs import Finished, WaitingForApproval
from graph.ports import JournalRequest
from graph.records import Alert, AlertGroup, Gate, Outcome, OutcomeStatus, Plan, PlanStep, Resource, SshAccess, Times
from graph.rules.classify import Placed, place
from server.store import Accepted, FleetRules, Leg, Store
from server.store.schema import incidents

RESOURCE = Resource(
    id="inst-1", kind="Instance", address="192.0.2.1", ssh=SshAccess(user="ops", key_file="k", known_hosts="h")
)
OTHER = RESOURCE.model_copy(update={"id": "inst-2"})
RESOURCES = {("Instance", resource.id): resource for resource in (RESOURCE, OTHER)}


def placing(alert: Alert) -> Placed:
    return place(alert, {"Instance": INSTANCE}, RESOURCES)


def alert(
    name: str = "InstanceDown", status: str = "firing", resource_id: str = "inst-1", starts_at: datetime | None = None
) -> Alert:
    labels = {"alertname": name, "resource_kind": "Instance", "resource_id": resource_id}
    return Alert.model_validate({"status": status, "labels": labels, "startsAt": starts_at})


def plan(action: str = "restart_service") -> Plan:
    return Plan(steps=(PlanStep(action=action, rendered=action, risk="disruptive"),), summary="try it")


@dataclass
class World:
    """A store and its clock. `url`: another database than SQLite's file in the folder."""

    folder: Path
    url: str = ""
    at: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def __post_init__(self) -> None:
        self.url = self.url or f"sqlite:///{self.folder / 'selfheal.db'}"
        self.store = self.open()

    def open(self, rules: FleetRules | None = None) -> Store:
        return Store.open(self.url, now=lambda: self.at, rules=rules)

    def later(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    async def post(self, *alerts: Alert) -> list[Accepted]:
        return await self.store.accept(AlertGroup(alerts=alerts), placing)

    async def opened(self, *alerts: Alert) -> str:
        [first, *_] = await self.post(*(alerts or (alert(),)))
        assert first.incident_id is not None
        return first.incident_id

    async def begin(self, incident_id: str, holder: str = "w:1") -> Leg:
        [leg] = [item.leg for item in await self.store.runnable() if item.incident_id == incident_id]
        begun = await self.store.begin_leg(incident_id, leg, holder, 15)
        assert begun is not None
        return begun

    async def leg_of(self, incident_id: str) -> int:
        row: Any = await self.store._db.read(
            lambda c: c.execute(select(incidents.c.leg).where(incidents.c.id == incident_id)).scalar()
        )
        return int(row)

    async def end(self, incident_id: str, end: Any, holder: str = "w:1") -> bool:
        return await self.store.end_leg(incident_id, await self.leg_of(incident_id), holder, end)

    async def phase(self, incident_id: str) -> str:
        record = await self.store.incident(incident_id)
        assert record is not None
        return str(record["phase"])

    def finished(self, status: OutcomeStatus, verified: datetime | None = None) -> Finished:
        return Finished(Outcome(status=status, reason="so it ended", times=Times(verified=verified)))

    def asking(self, asked: Plan | None = None, seconds: float = 3600) -> WaitingForApproval:
        of = asked or plan()
        gate = Gate(decision="ask", reason="no policy", plan_fingerprint=of.plan_fingerprint)
        return WaitingForApproval({"action_requests": []}, of, gate, self.at + timedelta(seconds=seconds))

    def request(
        self, incident_id: str, holder: str = "w:1", touches: Sequence[str] = (), **more: Any
    ) -> JournalRequest:
        values: dict[str, Any] = {
            "idempotency_key": f"{incident_id}:1:0",
            "incident_id": incident_id,
            "holder": holder,
            "touches": tuple(touches) or ("Instance/inst-1",),
            "action": "restart_service",
            "rendered": "systemctl restart web",
            "deadline_seconds": 30.0,
            "attempt": 1,
            "plan_fingerprint": plan().plan_fingerprint,
            "approval_needed": False,
            "baseline": {"invocation_id": "a"},
            "now": self.at,
        }
        return JournalRequest(**(values | more))
