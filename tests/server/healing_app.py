"""The server as it is, with its graph, store and runner; only the world (evidence, actions, health) is fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from langgraph.checkpoint.memory import InMemorySaver

from agents.agent import Agent
from graph.fakes import FakeActions, FakeHealth, FakeReasoner, FakeSource
from graph.ports import ActionOutput, Deps, HealSettings
from graph.records import PlanStep, Resource
from server.runner import Runner, RunnerTimes
from server.services import Runtime, Services
from server.settings import Settings
from server.store import Store
from server.wiring import SystemClock
from tests.flow.story import KIND, PASS, SPECS, crashed_web, policy
from tests.server.web import TOKENS, running

QUICK = RunnerTimes(lease=15.0, renew=5.0, sweep=0.1, recheck=0.1, storms=0.1)
SECONDS = 20.0


@dataclass
class RecordingActions(FakeActions):
    """Remembers on which resource what was run."""

    ran_on: list[str] = field(default_factory=list)
    running: asyncio.Event | None = None
    """Set once an action runs; it ends when `go_on` is."""
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, resource: Resource, step: PlanStep, key: str, first_started_at: datetime) -> ActionOutput:
        self.ran_on.append(resource.id)
        if self.running is not None:
            self.running.set()
            await self.go_on.wait()
        return await super().run(resource, step, key, first_started_at)


@dataclass
class HealingApp:
    """`client` asks as an operator; `shown` is whether Prometheus shows an alert's condition."""

    services: Services
    client: httpx.AsyncClient
    actions: RecordingActions
    shown: bool | None = False

    @property
    def store(self) -> Store:
        return self.services.store

    async def post(self, *names: str, status: str = "firing", alertname: str = "ServiceDown") -> list[dict[str, Any]]:
        alerts = [
            {
                "status": status,
                "labels": {"alertname": alertname, "resource_kind": "Instance", "resource_id": name},
                "startsAt": datetime.now().astimezone().isoformat(),
            }
            for name in names
        ]
        answer = await self.client.post("/webhooks/alertmanager", json={"alerts": alerts})
        assert answer.status_code == 202, answer.text
        found: list[dict[str, Any]] = answer.json()["incidents"]
        return found

    async def record(self, reference: str | int) -> dict[str, Any]:
        answer = await self.client.get(f"/api/incidents/{reference}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def until(self, reference: str | int, phase: str) -> dict[str, Any]:
        """Wait until an incident is in that phase."""
        async with asyncio.timeout(SECONDS):
            while (record := await self.record(reference))["phase"] != phase:
                seen = (await self.client.get(f"/api/incidents/{reference}/events")).json()["token"]
                if (await self.record(reference))["phase"] == phase:
                    continue
                await self.client.get(f"/api/incidents/{reference}/events", params={"seen": seen, "wait": 1})
        return record


@asynccontextmanager
async def healing_app(folder: Path, resources: list[dict[str, Any]], **settings: Any) -> AsyncIterator[HealingApp]:
    """Until the block ends."""
    url = f"sqlite:///{folder / 'selfheal.db'}"
    made = Settings.model_validate({"database_url": url, "resources": resources, **settings})
    store = Store.open(url, rules=made.fleet_rules)
    services, actions = Services(made, store, TOKENS, {KIND.name: KIND}), RecordingActions(SPECS)
    app: HealingApp

    async def condition(alert: Any) -> bool | None:
        return app.shown

    @asynccontextmanager
    async def load(_services: Services) -> AsyncIterator[Runtime]:
        agent = Agent(_deps(store, actions), InMemorySaver())
        runner = Runner(store, {KIND.name: agent}, condition, "test", QUICK)
        runner.start()
        yield Runtime(actions, lambda: None)
        await runner.stop(5)

    async with running(services, load) as client:
        app = HealingApp(services, client, actions)
        yield app
    await store.close()


def _deps(store: Store, actions: FakeActions) -> Deps:
    return Deps(
        kind=KIND,
        reasoner=FakeReasoner(),
        sources=[FakeSource("units", crashed_web())],
        archive=store,
        actions=actions,
        journal=store,
        health=FakeHealth(((PASS,),)),
        fleet=store,
        directives=store,
        chronicle=store,
        clock=SystemClock(),
        policies=(policy(),),
        settings=HealSettings(soak_seconds=0, verify_timeout_seconds=20),
    )
