"""A fleet of nine web servers that need one database, and what happens when many of them fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agents.database import DATABASE
from agents.instance import INSTANCE
from agents.legs import Resting
from graph.records import Alert, AlertGroup, Resource
from graph.rules.classify import Placed, place
from graph.rules.flapping import Damping
from graph.rules.sharing import shares_of
from graph.rules.storms import StormRules
from server.store import Accepted, FleetRules, Store
from tests.server.world import World

DB = "Database/db-1"
WEBS = tuple(f"web-{number}" for number in range(1, 10))


def declared(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": "Instance", "address": "127.0.0.1", "transport": "local", **more}


INVENTORY = (
    *(declared(name, group="web", depends_on=[DB], services=["web"]) for name in WEBS),
    declared("db-1", kind="Database", database={"engine": "mariadb", "cluster": "c", "role": "primary", "port": 3306}),
    declared("lone"),
)
RESOURCES = tuple(Resource.model_validate(entry) for entry in INVENTORY)
RULES = FleetRules(storms=StormRules(shares_of(RESOURCES)), damping=Damping())
_BY_KEY = {(resource.kind, resource.id): resource for resource in RESOURCES}


def placing(alert: Alert) -> Placed:
    return place(alert, {"Instance": INSTANCE, "Database": DATABASE}, _BY_KEY)


def down(name: str, status: str = "firing", alertname: str = "ServiceDown") -> Alert:
    kind = "Database" if name.startswith("db") else "Instance"
    labels = {"alertname": alertname, "resource_kind": kind, "resource_id": name}
    return Alert.model_validate({"status": status, "labels": labels})


@dataclass
class Fleet(World):
    """A world with that fleet."""

    rules: FleetRules = field(default=RULES)

    def open(self) -> Store:
        url = f"sqlite:///{self.folder / 'selfheal.db'}"
        return Store.open(url, now=lambda: self.at, rules=self.rules)

    async def post(self, *alerts: Alert) -> list[Accepted]:
        return await self.store.accept(AlertGroup(alerts=alerts), placing)

    async def fail(self, *names: str) -> list[str]:
        """Each in a message of its own, a second apart; returns the incidents' ids."""
        ids = []
        for name in names:
            ids.append(await self.opened(down(name)))
            self.later(1)
        return ids

    async def resolve(self, *names: str) -> None:
        await self.post(*(down(name, "resolved") for name in names))

    async def storms(self) -> list[dict[str, Any]]:
        return await self.store.storms.in_force()

    async def record(self, reference: str | int) -> dict[str, Any]:
        found = await self.store.incident(str(reference))
        assert found is not None
        return found

    async def told(self, reference: str | int) -> list[str]:
        return [entry["sentence"] for entry in (await self.record(reference))["timeline"]]

    async def view(self, name: str) -> Any:
        kind = "Database" if name.startswith("db") else "Instance"
        return await self.store.view(_BY_KEY[kind, name])

    async def waits(self, incident_id: str, name: str) -> None:
        """The heal of an incident comes to its gate, and rests as the gate says."""
        await self.begin(incident_id)
        hold = (await self.view(name)).storm
        await self.end(incident_id, Resting(hold.until, hold.reason))
