"""A repair waits for others of its group and goes on when a place is free: real graphs, one real store, two workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest_asyncio
from langgraph.checkpoint.memory import InMemorySaver

from agents.agent import Agent
from agents.instance import INSTANCE
from agents.legs import LegEnd, Resting
from graph.fakes import FakeHealth
from graph.ports import FleetView, Hold
from graph.records import Alert, AlertGroup, Observation, PlanStep
from graph.rules.budget import FleetLimits
from graph.rules.classify import Placed, place
from server.store import FleetRules, Store
from tests.flow.story import FAIL, NOT_YET, PASS, RESOURCE, Story, answer, policy
from tests.flow.test_heal_stories import outcome
from tests.server.world import World, alert

WEB = tuple(RESOURCE.model_copy(update={"id": f"web-{n}", "group": "web"}) for n in (1, 2, 3))


def placing(alert: Alert) -> Placed:
    return place(alert, {"Instance": INSTANCE}, {("Instance", resource.id): resource for resource in WEB})


@dataclass
class Now:
    """The store's clock for the nodes."""

    world: World

    def now(self) -> datetime:
        return self.world.at

    async def sleep(self, seconds: float) -> None:
        self.world.later(seconds)


@dataclass
class Worker:
    """A worker with a store of its own, that heals with real graphs and made-up tools."""

    store: Store
    name: str
    world: World
    saver: InMemorySaver
    rounds: tuple[tuple[Observation, ...], ...] = ((NOT_YET,),)

    def __post_init__(self) -> None:
        self.story = Story()
        self.health = FakeHealth(self.rounds)

    async def leg(self, incident_id: str) -> LegEnd:
        """The leg of an incident that may run now."""
        [leg] = [item.leg for item in await self.store.runnable() if item.incident_id == incident_id]
        holder = f"{self.name}:{leg}"
        begun = await self.store.begin_leg(incident_id, leg, holder, 15)
        assert begun is not None
        ports: Mapping[str, Any] = dict.fromkeys(("journal", "fleet", "directives", "chronicle", "archive"), self.store)
        agent = Agent(replace(self.story.deps, **ports, health=self.health, clock=Now(self.world)), self.saver)
        end = await agent.heal(begun.incident, holder=holder, attempts=begun.attempts, fresh=begun.fresh)
        assert await self.store.end_leg(incident_id, leg, holder, end)
        return end

    async def may_run(self) -> list[str]:
        return [item.incident_id for item in await self.store.runnable()]

    async def accept(self, resource_id: str) -> str:
        [first] = await self.store.accept(AlertGroup(alerts=(alert(resource_id=resource_id),)), placing)
        assert first.incident_id is not None
        return first.incident_id

    def sees(self, *rounds: Observation) -> None:
        self.health.rounds, self.health.asked = tuple((item,) for item in rounds), 0


@pytest_asyncio.fixture
async def workers(tmp_path: Path) -> AsyncIterator[tuple[Worker, Worker]]:
    world, saver = World(tmp_path), InMemorySaver()
    url = f"sqlite:///{tmp_path / 'selfheal.db'}"
    rules = FleetRules(limits=FleetLimits(machines={"web": 3}))
    one, two = (Worker(Store.open(url, lambda: world.at, rules), name, world, saver) for name in ("one", "two"))
    yield one, two
    for store in (world.store, one.store, two.store):
        await store.close()


async def sentences(worker: Worker, incident_id: str, node: str) -> list[str]:
    record = await worker.store.incident(incident_id)
    assert record is not None
    return [entry["sentence"] for entry in record["timeline"] if entry["node"] == node]


async def test_a_held_plan_says_for_whom_it_waits_and_goes_on_when_the_place_is_free(
    workers: tuple[Worker, Worker],
) -> None:
    one, two = workers
    first, second = await one.accept("web-1"), await one.accept("web-2")
    assert isinstance(await one.leg(first), Resting) and one.story.actions.ran == ["restart"]
    held = await two.leg(second)
    assert isinstance(held, Resting) and held.rule == "fleet_budget" and two.story.actions.ran == []
    reason = "group web: 1 of 3 machines under disruptive repair (at most 1 at once): #1 (Instance/web-1)"
    assert held.reason == reason and await sentences(two, second, "gate") == [f"holds: {reason}"]
    one.world.at = held.until
    await two.leg(second)
    assert await sentences(two, second, "gate") == [f"holds: {reason}"], "told once, however often it is looked at"

    one.sees(PASS)
    assert outcome(await one.leg(first)).status == "mitigated"
    assert await two.may_run() == [second], "at once, not when its time has come"
    await two.leg(second)
    assert two.story.actions.ran == ["restart"]
    assert (await sentences(two, second, "gate"))[-1].startswith("may run")


async def test_a_repair_that_fails_is_undone_without_waiting_and_then_lets_the_next_go_on(
    workers: tuple[Worker, Worker],
) -> None:
    one, two = workers
    one.story.actions.undos = {"restart": PlanStep(action="look")}
    first, second = await one.accept("web-1"), await one.accept("web-2")
    await one.leg(first)
    await two.leg(second)
    one.sees(FAIL)
    one.world.later(25)
    await one.leg(first)
    assert one.story.actions.ran[:2] == ["restart", "look"]
    assert second in await two.may_run()
    await two.leg(second)
    assert two.story.actions.ran == ["restart"]


async def test_what_loses_the_last_place_to_another_worker_goes_on_where_it_stood() -> None:
    """The gate let it pass; the journal, a moment later, did not."""
    story = Story()
    full = Hold("fleet_budget", "group web is full", story.clock.at.replace(minute=1))
    story.journal.verdict = full
    end = await story.leg()
    assert end == Resting(full.until, "restart: group web is full", "fleet_budget") and story.actions.ran == []
    story.clock.at = full.until
    assert outcome(await story.heal()).status == "mitigated" and story.actions.ran == ["restart"]


async def test_a_cool_down_holds_what_policy_allows() -> None:
    story = Story()
    story.fleet.seen = FleetView(cooling=Hold("cool_down", "#1 was escalated", story.clock.at.replace(minute=15)))
    end = await story.leg()
    assert end == Resting(story.clock.at.replace(minute=15), "#1 was escalated", "cool_down")
    assert story.actions.ran == []


async def test_a_cool_down_does_not_hold_what_a_human_approved() -> None:
    story = Story(policies=(policy(auto_heal=False),))
    asked = await story.heal()
    story.fleet.seen = FleetView(cooling=Hold("cool_down", "#1 was escalated", story.clock.at.replace(minute=15)))
    assert outcome(await story.heal(decision=answer("approve", asked))).status == "mitigated"
