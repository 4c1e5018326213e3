"""Heavy incidents, healed by the real graph on a real store with fakes for the outside, and then long over."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from agents.agent import Agent
from agents.checkpoints import sqlite_checkpoints
from agents.legs import Resting, WaitingForApproval
from agents.reasoning.ledger import ModelCall, Usage
from agents.threads import Threads
from graph.doing import Doing
from graph.fakes import FakeActions, FakeClock, FakeHealth, FakeReasoner
from graph.ports import Deps, Finding, HealSettings, SentCommand
from graph.records import Alert, AlertGroup, Incident, Observation, PlanStep
from graph.rules.classify import Placed, place
from graph.rules.notifying import Link, Listener
from graph.rules.retention import Terms
from server.retention import Keeper
from server.store import Store, Telling
from server.store.measuring import EVIDENCE, tables_of_incidents
from server.store.schema import incidents
from tests.flow.story import KIND, RESOURCE, SPECS, crashed_web, policy

TERMS = Terms(compact_days=2, evidence_days=30, incident_days=None)
EVENTS = frozenset({"approval_wanted", "escalated", "mitigated", "opened"})
TELLING = Telling(
    listeners=(Listener("oncall", events=EVENTS), Listener("lead", events=EVENTS)), chain=(Link(0, ("oncall",)),)
)
COMMENT = "looked at with the people of the shop, they agree that it may be done before noon, not later than that"


def chatter(seed: str, chars: int) -> str:
    """Lines as logs have them: words that repeat, numbers that do not."""
    dice, lines = random.Random(seed), []
    words = ("worker", "exited on signal", "upstream timed out", "reading response header", "from client", "request")
    while sum(map(len, lines)) < chars:
        said = " ".join(dice.choice(words) for _ in range(8))
        lines.append(f"Nov 27 03:{dice.randrange(60):02}:{dice.randrange(60):02} web[{dice.randrange(99999)}]: {said}")
    return "\n".join(lines)[:chars]


@dataclass
class WordySource:
    """A source that says much."""

    name: str
    deadline_seconds: float = 5.0

    async def gather(self, incident: Incident) -> Finding:
        seed = f"{self.name}{incident.id}"
        dice = random.Random(seed)
        facts = {f'{self.name}.value{{item="{number}"}}': dice.random() for number in range(12)}
        if self.name == "units":
            facts |= crashed_web()
        asked = f"sudo -n {self.name} --since {incident.received_at} --json {RESOURCE.id}"
        return Finding(asked=asked, text=chatter(seed, 1200), facts=facts, raw=chatter(seed, 8000))


def observed(status: Any) -> list[Observation]:
    others = [
        Observation(criterion=f"http http://10.0.0.5:80{number}/healthz", status="pass", observed="HTTP 200 in 12 ms")
        for number in range(7)
    ]
    said = {"pass": "web is running since 03:01:10", "fail": "web is failed (signal KILL, start limit hit)"}[status]
    return [Observation(criterion="service web", status=status, observed=said), *others]


@dataclass
class Heavy:
    """A store whose clock the heals move, and incidents of the heaviest sort on it."""

    folder: Path
    store: Store
    clock: FakeClock
    agent: Agent
    health: FakeHealth
    threads: Threads
    url: str

    def place(self, alert: Alert) -> Placed:
        found = {("Instance", name): RESOURCE.model_copy(update={"id": name}) for name in ("inst-1", "inst-2")}
        return place(alert, {"Instance": KIND}, found)

    def alerts(self, resource_id: str, number: int, status: str = "firing") -> tuple[Alert, ...]:
        began = self.clock.now() - timedelta(seconds=30)
        about = {"resource_kind": "Instance", "resource_id": resource_id, "severity": "critical", "job": "node"}
        more = {f"label_{name}": f"value of {name} on {resource_id}" for name in ("team", "rack", "zone", "tier")}
        return tuple(
            Alert.model_validate(
                {
                    "status": status,
                    "labels": {"alertname": f"WebDown{index % 4}", "path": f"/shop/{index}", **about, **more},
                    "annotations": {
                        "summary": f"web does not answer at /shop/{index} of {resource_id}",
                        "description": "The service web was asked three times within a minute and did not answer. " * 3,
                    },
                    "startsAt": began,
                    "generatorURL": f"http://prometheus:9090/graph?g0.expr=probe_success%7Bpath%3D%22{index}%22%7D",
                }
            )
            for index in range(number)
        )

    async def healed(self, resource_id: str = "inst-1", alerts: int = 30) -> str:
        """Three approved attempts, of which two fail and are undone; then all is well, and everybody is told."""
        self.health.asked, fired = 0, self.alerts(resource_id, alerts)
        [first, *_] = await self.store.accept(AlertGroup(alerts=fired), self.place)
        assert first.incident_id is not None
        while not await self.over(first.incident_id):
            await self.leg(first.incident_id)
        resolved = tuple(one.model_copy(update={"status": "resolved", "ends_at": self.clock.now()}) for one in fired)
        await self.store.accept(AlertGroup(alerts=resolved), self.place)
        await self.store.confirm(first.incident_id, "ann", "crashed", True, COMMENT)
        await self.store.settle_notices(TELLING)
        for target in ("oncall", "lead"):
            for delivery in await self.store.claim_deliveries(TELLING, target):
                await self.store.delivered(delivery.id)
        await self.store.plots.keep(first.incident_id, {"graphs": [{"points": [[n, n / 7] for n in range(360)]}]})
        return first.incident_id

    async def waiting(self) -> str:
        """An incident of another resource that waits for a human."""
        [first, *_] = await self.store.accept(AlertGroup(alerts=self.alerts("inst-2", 1)), self.place)
        assert first.incident_id is not None
        await self.leg(first.incident_id, decide=False)
        return first.incident_id

    async def id_of(self, number: int) -> str:
        found = await self.store.incident_id(str(number))
        assert found is not None
        return found

    async def over(self, incident_id: str) -> bool:
        record = await self.record(incident_id)
        return record["phase"] == "closed"

    async def leg(self, incident_id: str, decide: bool = True) -> None:
        """One leg, and what a human says where one is asked."""
        found = [item for item in await self.store.runnable() if item.incident_id == incident_id]
        holder = f"w:{found[0].leg}"
        begun = await self.store.begin_leg(incident_id, found[0].leg, holder, 60)
        assert begun is not None
        await self._spoken(incident_id, found[0].leg)
        more: dict[str, Any] = {"decision": begun.decision, "attempts": begun.attempts, "fresh": begun.fresh}
        end = await self.agent.heal(begun.incident, holder=holder, **more)
        assert await self.store.end_leg(incident_id, found[0].leg, holder, end)
        await self.store.settle_notices(TELLING)
        if isinstance(end, WaitingForApproval) and decide:
            await self.store.decide(incident_id, "approve", end.plan.plan_fingerprint, "ann", COMMENT)
        if isinstance(end, Resting):
            self.clock.at = max(self.clock.at, end.until)

    async def _spoken(self, incident_id: str, leg: int) -> None:
        """What a real heal sends on the way: commands, and calls of a model."""
        for number in range(12):
            command = f"mkdir /run/lock/{incident_id}:{leg}:{number} && timeout 30 sh -c '{chatter(str(number), 200)}'"
            doing = Doing(incident_id, "evidence", f"{incident_id}:{leg}")
            await self.store.sent(SentCommand(doing, "ops@192.0.2.1:22", command, self.clock.now()))
        for number in range(3):
            sent = [
                ("system", "You find out what is wrong. " * 200),
                ("human", chatter(f"{incident_id}{number}", 6000)),
            ]
            usage = Usage(2100, 180)
            call = ModelCall(
                incident_id=incident_id,
                at=self.clock.now(),
                purpose="diagnose",
                attempt=1,
                model="gpt-4.1",
                prompt="diagnose@2",
                method="json_schema",
                messages=sent,
                answer=chatter(f"{number}", 600),
                status="answered",
                usage=usage,
                seconds=2.5,
                cost_usd=0.01,
            )
            await self.store.called(call)

    async def record(self, incident_id: str) -> dict[str, Any]:
        found = await self.store.incident(incident_id)
        assert found is not None
        return found

    def keeper(self, terms: Terms = TERMS, name: str = "keeper-1") -> Keeper:
        return Keeper(self.store, terms, name, self.threads)

    def later(self, days: float) -> None:
        self.clock.advance(days * 86_400)

    async def beside(self, incident_id: str) -> int:
        return sum((await self.store.retention.bytes_of(incident_id))["beside"].values())

    async def write(self, work: Any) -> Any:
        return await self.store._db.write(work)

    async def rows(self, query: Any) -> Any:
        return await self.store._db.read(lambda c: c.execute(query).all())


@asynccontextmanager
async def heavy(folder: Path, at: datetime | None = None, url: str | None = None) -> AsyncIterator[Heavy]:
    clock = FakeClock() if at is None else FakeClock(at)
    where = url or f"sqlite:///{folder / 'selfheal.db'}"
    store = Store.open(where, now=clock.now)
    health = FakeHealth((observed("fail"), observed("fail"), observed("pass")))
    undo = {name: PlanStep(action="look", params={"unit": "web"}, rendered=f"undo {name}") for name in SPECS}
    actions = FakeActions(SPECS, undos=undo)
    names = ("units", "metrics", "logs", "disk", "network", "processes", "provider", "history", "sockets", "kernel")
    deps = Deps(
        kind=KIND,
        reasoner=FakeReasoner(),
        sources=[WordySource(name) for name in names],
        archive=store,
        actions=actions,
        journal=store,
        health=health,
        fleet=store,
        directives=store,
        chronicle=store,
        clock=clock,
        policies=(policy(auto_heal=False),),
        settings=HealSettings(soak_seconds=2, verify_timeout_seconds=20),
    )
    async with sqlite_checkpoints(folder / "checkpoints.db") as kept:
        agent = Agent(deps, kept.saver, kept.pruner)
        yield Heavy(folder, store, clock, agent, health, Threads(kept.saver), where)
        await store.close()


@dataclass(frozen=True)
class Scene:
    """Databases as they were at one moment, to begin from again and again: to heal takes a while."""

    folder: Path
    at: datetime

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Heavy]:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        async with heavy(folder, self.at) as made:
            yield made


async def scenes(folder: Path) -> dict[str, Scene]:
    """`heavy`: one incident with 30 alerts. `one`: with three; `waiting`: and another that waits for approval; `two`:
    and that is healed too."""
    found: dict[str, Scene] = {}

    async def scene(name: str, before: str | None, work: Callable[[Heavy], Awaitable[Any]]) -> None:
        here = folder / name
        here.mkdir()
        begun = found[before].opened(here) if before else heavy(here)
        async with begun as old:
            await work(old)
            found[name] = Scene(here, old.clock.at)

    await scene("heavy", None, lambda old: old.healed(alerts=30))
    await scene("one", None, lambda old: old.healed(alerts=3))
    await scene("waiting", "one", lambda old: old.waiting())
    await scene("two", "one", lambda old: old.healed("inst-2", alerts=1))
    return found


def copied(connection: Connection, incident_id: str, numbers: Sequence[int]) -> list[str]:
    """More incidents with the same rows in every table beside those of evidence, but for their ids."""
    ids = [f"{incident_id[:-6]}{number:06d}" for number in numbers]
    row = connection.execute(select(incidents).where(incidents.c.id == incident_id)).mappings().one()
    connection.execute(insert(incidents), [_renamed(row, incident_id, new) | {"id": new} for new in ids])
    for table in tables_of_incidents():
        mine = connection.execute(select(table).where(table.c.incident_id == incident_id)).mappings().all()
        for item in mine if table.name not in (*EVIDENCE, "commands") else ():
            number = [{"number": number} if "number" in table.c else {} for number in numbers]
            pairs = zip(ids, number, strict=True)
            slim = {"messages": []} if table.name == "model_calls" else {}
            connection.execute(insert(table), [_renamed(item, incident_id, new) | more | slim for new, more in pairs])
    return ids


def _renamed(row: Mapping[Any, Any], old: str, new: str) -> dict[str, Any]:
    told = {str(name): _with(value, old, new) for name, value in row.items() if name not in ("id", "number")}
    return told


def _with(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    return json.loads(json.dumps(value).replace(old, new)) if isinstance(value, list | dict) else value
