"""A world with a group of machines, and as many workers as wanted on one database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agents.instance import INSTANCE
from agents.legs import Finished, Resting
from graph.ports import Entry, Hold, JournalRequest, Started
from graph.records import ActionResult, Alert, AlertGroup, Outcome, OutcomeStatus
from graph.rules.budget import FleetLimits
from graph.rules.classify import Placed, place
from server.store import FleetRules, Store
from tests.server.world import RESOURCE, World, alert

WEB = tuple(RESOURCE.model_copy(update={"id": f"web-{n}", "group": "web"}) for n in range(1, 9))
LONE = RESOURCE.model_copy(update={"id": "lone"})
KNOWN = {("Instance", resource.id): resource for resource in (*WEB, LONE)}
FOUR = FleetLimits(machines={"web": 4})


def placing(alert: Alert) -> Placed:
    return place(alert, {"Instance": INSTANCE}, KNOWN)


@dataclass
class Fleet(World):
    """A world with a group `web`, and as many workers as wanted, each with a store of its own."""

    rules: FleetRules = field(default_factory=lambda: FleetRules(limits=FOUR))
    opened_stores: list[Store] = field(default_factory=list)

    def open(self) -> Store:
        store = Store.open(f"sqlite:///{self.folder / 'selfheal.db'}", now=lambda: self.at, rules=self.rules)
        self.opened_stores.append(store)
        return store

    def ruled(self, limits: FleetLimits, **more: Any) -> None:
        self.rules = FleetRules(limits=limits, **more)
        self.store = self.open()

    async def running(self, resource: str, holder: str = "w:1") -> str:
        """An incident of a resource whose leg is under way."""
        group = AlertGroup(alerts=(alert(resource_id=resource),))
        [first] = await self.store.accept(group, placing)
        assert first.incident_id is not None
        await self.begin(first.incident_id, holder)
        return first.incident_id

    def of(self, incident_id: str, resource: str, holder: str = "w:1", **more: Any) -> JournalRequest:
        return self.request(incident_id, holder, touches=(f"Instance/{resource}",), **more)

    async def start(self, incident_id: str, resource: str, holder: str = "w:1", **more: Any) -> Any:
        return await self.store.start(self.of(incident_id, resource, holder, **more))

    async def repairing(self, resource: str, holder: str = "w:1") -> str:
        """An incident of a resource that is under repair."""
        incident_id = await self.running(resource, holder)
        assert isinstance(await self.start(incident_id, resource, holder), Started)
        return incident_id

    async def held(self, resource: str, holder: str = "w:1") -> tuple[str, Hold]:
        """An incident that finds no place, and rests."""
        incident_id = await self.running(resource, holder)
        verdict = await self.start(incident_id, resource, holder)
        assert isinstance(verdict, Hold)
        assert await self.end(incident_id, Resting(verdict.until, verdict.reason, verdict.rule), holder)
        return incident_id, verdict

    async def runnable(self) -> list[str]:
        return [item.incident_id for item in await self.store.runnable()]

    async def budget(self, group: str = "web") -> dict[str, Any]:
        return next(item for item in (await self.store.fleet())["budgets"] if item["group"] == group)

    async def retried(self, incident_id: str, number: int = 1) -> None:
        """The attempt's step has ended, and the node `retry` closes the attempt."""
        key = f"{incident_id}:{number}:0"
        await self.store.finish(ActionResult(idempotency_key=key, action="restart_service", step=0, status="succeeded"))
        attempt = {"number": number, "suspected_cause": "x", "plan_fingerprint": "x", "actions": [], "acted": True}
        closed = [attempt | {"why_ended": "still down", "ended_at": self.at.isoformat()}]
        await self.store.tell(Entry(incident_id, "r", self.at, "retry", "self-heal", "ended", {"attempts": closed}))


def ended(status: OutcomeStatus, rule: str = "") -> Finished:
    return Finished(Outcome(status=status, rule=rule, reason="so it ended"))
