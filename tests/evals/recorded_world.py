"""A server that really heals, with its own graph, store and runbook; only host and actions are stand-ins. What it has
healed is then recorded over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from agents.agent import Agent
from agents.instance import INSTANCE
from agents.reasoning.runbook import RunbookReasoner
from graph.facts import FactValue, fact_key
from graph.fakes import AnyParams, FakeActions, FakeHealth
from graph.kind import ActionSpec
from graph.ports import (
    Asks,
    Deps,
    DiagnosisRequest,
    Finding,
    HealSettings,
    Inquiries,
    InquiryLimits,
    PlanRequest,
    Reasoner,
)
from graph.reasoning import Inquiry
from graph.records import Diagnosis, Incident, Observation, Plan, Policy
from server.client import ServerClient
from server.runner import Runner
from server.services import Runtime, Services
from server.settings import Settings
from server.store import Store
from server.wiring import SystemClock
from tests.server.healing_app import QUICK
from tests.server.live import LiveServer
from tests.server.web import TOKENS
from tools.clients.memory import MemoryHosts
from tools.evidence import EvidenceContext
from tools.inquiries import InquiryTools

SECONDS = 20.0
SHOP: dict[str, Any] = {
    "id": "shop-prod-1",
    "kind": "Instance",
    "address": "10.20.30.40",
    "group": "acme-shop-fleet",
    "ssh": {"user": "jdoe", "key_file": "/home/jdoe/.ssh/id", "known_hosts": "/home/jdoe/.ssh/known_hosts"},
    "services": ["acmeshop"],
    "provider": {"name": "aws", "region": "eu-west-1", "instance_id": "i-0a1b2c3d4e5f60718"},
    "health": [{"http": "http://shop.acme-corp.com:8080/healthz"}],
}
BESIDE: dict[str, Any] = SHOP | {"id": "shop-prod-2", "address": "10.20.30.41", "services": ["nginx"], "health": []}
ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {
        "alertname": "ServiceDown",
        "severity": "critical",
        "resource_kind": "Instance",
        "resource_id": "shop-prod-1",
        "instance": "10.20.30.40:9100",
        "service": "acmeshop",
    },
    "annotations": {"summary": "acmeshop on shop-prod-1 (10.20.30.40) is down, tell ann.smith@acme-corp.com"},
    "generatorURL": "http://prom.acme-corp.com:9090/graph?g0.expr=up%7Bname%3D%22acmeshop%22%7D+%3D%3D+0",
}
LOG = "\n".join(
    f"Nov 27 03:1{minute}:0{second} shop-prod-1 acmeshop[41{second}]: {minute}{second} from 10.20.31.7, user jdoe"
    for minute in range(6)
    for second in range(6)
)
WORDS = ("acme", "shop-prod", "jdoe", "10.20.30", "10.20.31", "i-0a1b2c3d4e5f60718", "smith")
"""Nothing of these may be in a case."""

Look = Mapping[str, Finding]


def crashed() -> Look:
    facts: dict[str, FactValue] = {
        fact_key("unit.state", unit="acmeshop"): "failed",
        fact_key("unit.result", unit="acmeshop"): "signal",
        fact_key("unit.signal", unit="acmeshop"): "SEGV",
    }
    return {
        "host": Finding("uptime", "up 3 d", {"host.reachable": True}, raw="$ uptime\nup 3 d"),
        "units": Finding("systemctl show acmeshop", "acmeshop failed (SEGV)", facts, raw="Id=acmeshop.service"),
        "journal": Finding("journalctl -u acmeshop", LOG, raw=LOG),
        "dmesg": Finding("dmesg", "nothing of note", status="no_data"),
    }


def puzzling() -> Look:
    """Nothing explains this."""
    return crashed() | {"units": Finding("systemctl show acmeshop", "nothing told", status="no_data")}


@dataclass
class LookingSource:
    """One source that sees another thing each time; what a look does not have has failed."""

    name: str
    looks: Sequence[Look]
    deadline_seconds: float = 5.0
    asked: int = 0

    async def gather(self, incident: Incident) -> Finding:
        look = self.looks[min(self.asked, len(self.looks) - 1)]
        self.asked += 1
        if self.name not in look:
            raise ConnectionError(f"{self.name} on shop-prod-1: no route to 10.20.30.40")
        return look[self.name]


@dataclass
class Curious:
    """Asks for the log before it says what the runbook says."""

    name: str = "curious"
    runbook: RunbookReasoner = field(default_factory=RunbookReasoner)

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis | Asks:
        if not request.inquiries:
            return Asks((Inquiry(tool="logs", params={"unit": request.incident.resource.services[0]}, why="to see"),))  # type: ignore[union-attr]
        return await self.runbook.diagnose(request)

    async def plan(self, request: PlanRequest) -> Plan:
        return await self.runbook.plan(request)


@dataclass
class Healing:
    """The server, its client and its settings."""

    live: LiveServer
    client: ServerClient
    settings: Settings

    def heal(self, until: str = "closed") -> str:
        """Post the alert; returns the incident's id once it is in that phase."""
        accepted = self.client.post_alerts(json.dumps({"alerts": [ALERT]}).encode())
        incident = str(accepted["incidents"][0]["id"])
        deadline = time.monotonic() + SECONDS
        while (record := self.client.incident(incident))["phase"] != until:
            assert time.monotonic() < deadline, (record["phase"], record["outcome"])
            time.sleep(0.05)
        return incident


@contextmanager
def healing(
    folder: Path,
    looks: Sequence[Look] = (),
    *,
    auto_heal: bool = True,
    health: Sequence[Sequence[Observation]] = ((Observation(criterion="service", status="pass", observed="runs"),),),
    reasoner: Reasoner | None = None,
    resources: Sequence[Mapping[str, Any]] = (SHOP, BESIDE),
    max_retries: int = 3,
) -> Iterator[Healing]:
    url = f"sqlite:///{folder / 'selfheal.db'}"
    settings = Settings.model_validate({"database_url": url, "resources": list(resources)})
    store = Store.open(url, rules=settings.fleet_rules)
    services = Services(settings, store, TOKENS, {INSTANCE.name: INSTANCE})
    actions = FakeActions({name: ActionSpec(name, name, "disruptive", AnyParams, 5.0) for name in INSTANCE.actions})

    @asynccontextmanager
    async def load(_services: Services) -> AsyncIterator[Runtime]:
        agent = Agent(
            Deps(
                kind=INSTANCE,
                reasoner=reasoner or RunbookReasoner(),
                sources=[LookingSource(name, looks or (crashed(),)) for name in INSTANCE.sources],
                archive=store,
                actions=actions,
                journal=store,
                health=FakeHealth(health),
                fleet=store,
                directives=store,
                chronicle=store,
                clock=SystemClock(),
                inquiries=_inquiries(store),
                policies=(
                    Policy(
                        resource_kind="Instance",
                        issue_type="service_down",
                        auto_heal=auto_heal,
                        max_retries=max_retries,
                    ),
                ),
                settings=HealSettings(
                    soak_seconds=0,
                    verify_timeout_seconds=0.2,
                    verify_interval_seconds=0.1,
                    look_again_seconds=0.2,
                    inquiries=InquiryLimits(calls=3),
                ),
            ),
            InMemorySaver(),
        )

        async def condition(alert: Any) -> bool | None:
            return False

        runner = Runner(store, {INSTANCE.name: agent}, condition, "test", QUICK)
        runner.start()
        yield Runtime(actions, lambda: None)
        await runner.stop(5)

    live = LiveServer(folder, services, load)
    live.up()
    try:
        with ServerClient(f"http://127.0.0.1:{live.port}", TOKENS.operator) as client:
            yield Healing(live, client, settings)
    finally:
        live.down()


def _inquiries(store: Store) -> Inquiries:
    hosts = MemoryHosts({"journalctl": LOG})
    context = EvidenceContext(hosts, SystemClock(), FakeHealth(((),)), history=store)
    return InquiryTools(context, {INSTANCE.name: INSTANCE.sources})
