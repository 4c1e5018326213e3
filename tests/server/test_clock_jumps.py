"""Clocks that jump by hours in the middle of a heal: it neither waits for hours, nor acts twice, nor calls well what
nobody has looked at. The store, the runner and the graph are the real ones; the clock is moved by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.agent import Agent
from agents.legs import Resting
from graph.facts import fact_key
from graph.ports import ActionOutput, HealSettings, Probe
from graph.records import AlertGroup
from graph.rules.classify import place
from graph.rules.notifying import Listener
from server.clock_watch import ClockWatch
from server.runner import Runner
from server.store import Store, Telling
from tests.flow.story import KIND, NOT_YET, PASS, RESOURCE, Story, policy
from tests.server.test_runner import QUICK, ScriptedAgent, until
from tests.server.world import World, alert, placing

HOURS = 5 * 3600.0
SETTINGS = HealSettings(
    soak_seconds=30, verify_timeout_seconds=120, verify_interval_seconds=10, approval_timeout_seconds=600
)


class Clocked:
    """One heal on a real store, whose every clock is the one that is moved here."""

    def __init__(self, folder: Path) -> None:
        self.story = Story(settings=SETTINGS)
        self.clock = self.story.clock
        self.store = Store.open(f"sqlite:///{folder / 'selfheal.db'}", now=self.clock.now)
        self.id = ""

    async def begin(self) -> None:
        story, store = self.story, self.store
        story.journal = story.fleet = story.directives = story.chronicle = store  # type: ignore[assignment]
        agent = Agent(story.deps, story.saver)
        self.runner = Runner(store, {"Instance": agent}, self._unknown, "w", clock=ClockWatch(lambda: 0, lambda: 0))
        known = {("Instance", RESOURCE.id): RESOURCE}
        [accepted] = await store.accept(AlertGroup(alerts=(alert(),)), lambda it: place(it, {"Instance": KIND}, known))
        self.id = str(accepted.incident_id)

    async def _unknown(self, _alert: Any) -> None:
        return None

    async def record(self) -> dict[str, Any]:
        found = await self.store.incident(self.id)
        assert found is not None
        return found

    async def leg(self) -> None:
        """The next leg, as soon as it may run; the clock goes no further than it must."""
        await self.store.take_back()
        if not (legs := await self.store.runnable()):
            wake = await self.store.next_wake()
            assert wake is not None, "it neither rests nor runs"
            self.clock.at = max(self.clock.at, wake)
            legs = await self.store.runnable()
        await self.runner.run_leg(legs[0].incident_id, legs[0].leg)

    async def until(self, holds: Callable[[dict[str, Any]], Any], within: float = 300.0) -> dict[str, Any]:
        """Leg after leg, for so many seconds by the clock at most."""
        began = self.clock.now()
        while not holds(record := await self.record()):
            await self.leg()
            assert (self.clock.now() - began).total_seconds() <= within, f"it rests for hours: {record['wait_reason']}"
        return record

    async def ended(self, within: float = 300.0) -> dict[str, Any]:
        return await self.until(lambda record: record["outcome"], within)


@pytest_asyncio.fixture
async def heal(tmp_path: Path) -> AsyncIterator[Clocked]:
    made = Clocked(tmp_path)
    yield made
    await made.store.close()


def rests(words: str) -> Callable[[dict[str, Any]], bool]:
    return lambda record: record["phase"] == "waiting" and words in (record["wait_reason"] or "")


both_ways = pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["forward", "back"])


@both_ways
async def test_a_soak_is_what_was_looked_at_whatever_the_clock_says(heal: Clocked, jump: float) -> None:
    await heal.begin()
    await heal.until(rests("must hold for 30 s"))
    heal.clock.advance(jump)
    await heal.leg()
    assert rests("must hold for 30 s")(await heal.record())
    looks = heal.story.health.asked
    record = await heal.ended(within=60)
    assert record["outcome"]["status"] == "mitigated" and heal.story.actions.ran == ["restart"]
    assert heal.story.health.asked > looks
    assert 30 <= record["verification"]["held_seconds"] < 60


@both_ways
async def test_a_repair_that_takes_its_time_still_has_it(heal: Clocked, jump: float) -> None:
    heal.story.health.rounds = (*((NOT_YET,),) * 20, (PASS,))
    await heal.begin()
    await heal.until(rests("waiting for service web"))
    heal.clock.advance(jump)
    record = await heal.ended()
    assert record["outcome"]["status"] == "mitigated" and heal.story.actions.ran == ["restart"]


@both_ways
async def test_what_is_never_well_is_given_up_in_the_usual_time(heal: Clocked, jump: float) -> None:
    heal.story.health.rounds, heal.story.policies = ((NOT_YET,),), (policy(max_retries=1),)
    await heal.begin()
    await heal.until(rests("waiting for service web"))
    heal.clock.advance(jump)
    record = await heal.ended()
    assert record["outcome"]["rule"] == "max_retries" and "still service web" in record["outcome"]["reason"]
    assert heal.story.actions.ran == ["restart"]


@both_ways
async def test_what_nothing_explains_is_looked_at_again_and_told(heal: Clocked, jump: float) -> None:
    heal.story.sources[0].facts = {fact_key("unit.state", unit="web"): "starting"}
    await heal.begin()
    await heal.until(rests("looking again"))
    heal.clock.advance(jump)
    record = await heal.ended(within=60)
    assert record["outcome"]["rule"] == "cause_unknown" and heal.story.actions.ran == []


@both_ways
async def test_an_action_whose_worker_died_is_waited_out_and_never_run_again(heal: Clocked, jump: float) -> None:
    def dies(_action: str) -> None:
        raise RuntimeError("the process died here, so to say")

    heal.story.actions.on_run = dies
    await heal.begin()
    await heal.until(lambda record: record["actions"])
    heal.clock.advance(jump)
    record = await heal.ended(within=60)
    assert record["outcome"]["rule"] == "effect_unknown"
    assert heal.story.actions.ran == ["restart"]


async def test_a_deadline_is_waited_out_once_more_where_the_clock_was_set_back(heal: Clocked) -> None:
    heal.story.actions.on_run = lambda _action: (_ for _ in ()).throw(RuntimeError("died"))
    heal.story.actions.probes["restart"] = Probe("no_effect", "the unit runs as before")
    await heal.begin()
    await heal.until(lambda record: record["actions"])
    heal.story.actions.on_run = None
    heal.clock.advance(-HOURS)
    back = heal.clock.now()
    record = await heal.ended(within=120)
    assert record["outcome"]["status"] == "mitigated"
    deadline = heal.story.actions.spec("restart").deadline_seconds
    first = datetime.fromisoformat(record["verification"]["started_at"])
    assert (first - back).total_seconds() >= deadline, "until then the first run may have been under way"


async def test_a_plan_nobody_decided_on_expires_when_the_clock_is_set_forward_and_is_told(heal: Clocked) -> None:
    heal.story.policies = ()
    await heal.begin()
    await heal.until(lambda record: record["phase"] == "waiting_approval")
    heal.clock.advance(HOURS)
    record = await heal.ended(within=1)
    assert record["outcome"]["rule"] == "approval_expired" and heal.story.actions.ran == []


async def test_a_plan_is_still_decided_on_after_the_clock_was_set_back_and_expires_when_it_was_said(
    heal: Clocked,
) -> None:
    heal.story.policies = ()
    await heal.begin()
    asked = await heal.until(lambda record: record["phase"] == "waiting_approval")
    said = datetime.fromisoformat(asked["approvals"][0]["expires_at"])
    heal.clock.advance(-HOURS)
    for _ in range(3):
        await heal.leg()
    assert len((await heal.record())["approvals"]) == 1, "nobody is asked twice"
    record = await heal.ended(within=HOURS + 700)
    assert record["outcome"]["rule"] == "approval_expired"
    assert said <= heal.clock.now() <= said + timedelta(seconds=SETTINGS.approval_timeout_seconds)


async def test_an_approval_that_comes_after_the_clock_was_set_back_runs_the_plan_once(heal: Clocked) -> None:
    heal.story.policies = ()
    await heal.begin()
    waiting = await heal.until(lambda record: record["phase"] == "waiting_approval")
    heal.clock.advance(-HOURS)
    await heal.store.decide(heal.id, "approve", waiting["approvals"][0]["asked_fingerprint"], "ada", "", None)
    record = await heal.ended()
    assert record["outcome"]["status"] == "mitigated" and heal.story.actions.ran == ["restart"]


@both_ways
async def test_a_wait_that_is_part_of_a_plan_takes_no_longer_than_it_was_given(heal: Clocked, jump: float) -> None:
    began: list[datetime] = []

    def until(first_started_at: datetime) -> ActionOutput:
        began.append(first_started_at)
        over = first_started_at + timedelta(seconds=40)
        if heal.clock.now() < over:
            return ActionOutput("pending", "elapsing", over)
        return ActionOutput("succeeded", "40 s are over")

    await waits_for(heal, until)
    await heal.until(rests("elapsing"))
    heal.clock.advance(jump)
    record = await heal.ended()
    assert record["outcome"]["status"] == "mitigated" and len(began) == (2 if jump > 0 else 3)


async def waits_for(heal: Clocked, look: Callable[[datetime], ActionOutput]) -> None:
    """Make the one remedy a step that only waits."""
    run: Callable[..., Awaitable[ActionOutput]] = heal.story.actions.run

    async def waiting(resource: Any, step: Any, key: str, first_started_at: datetime) -> ActionOutput:
        await run(resource, step, key, first_started_at)
        return look(first_started_at)

    heal.story.actions.run = waiting  # type: ignore[method-assign]
    heal.story.actions.catalogue = {**heal.story.actions.catalogue, "restart": heal.story.actions.spec("look")}
    await heal.begin()


# -- leases ------------------------------------------------------------------------------------------------


async def test_the_leg_of_a_worker_that_died_before_the_clock_was_set_back_is_free_in_a_minute(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    world.later(-HOURS)
    assert await world.store.take_back() == 0
    assert await world.store.renew([(incident_id, "w:1")], 15), "who lives keeps it"
    world.later(16)
    assert await world.store.take_back() == 1
    await world.begin(incident_id, "w:2")
    world.later(-HOURS)
    await world.store.take_back()
    world.later(61)
    assert await world.store.take_back() == 1


async def test_a_leg_that_runs_is_not_run_twice_because_the_clock_was_set_forward(tmp_path: Path) -> None:
    offset = [0.0]
    agent = ScriptedAgent(gate=asyncio.Event())
    store = Store.open(
        f"sqlite:///{tmp_path / 'selfheal.db'}", now=lambda: datetime.now(UTC) + timedelta(seconds=offset[0])
    )
    clock = ClockWatch(lambda: time.time() + offset[0])
    runner = Runner(store, {"Instance": agent}, Clocked._unknown, "w", QUICK, clock=clock)  # type: ignore[arg-type]
    [accepted] = await store.accept(AlertGroup(alerts=(alert(),)), placing)
    runner.start()
    try:
        await until(lambda: len(agent.legs) == 1)
        for hours in (HOURS, 3 * HOURS):
            offset[0] = hours
            await asyncio.sleep(4 * QUICK.sweep)
        assert len(agent.legs) == 1 and agent.gate is not None
        agent.gate.set()

        async def closed() -> bool:
            record = await store.incident(str(accepted.incident_id))
            return record is not None and record["phase"] == "closed"

        await until(closed)
        assert len(agent.legs) == 1
    finally:
        await runner.stop(5)
        await store.close()


async def test_a_resting_leg_that_another_incident_keeps_from_running_is_not_tried_without_a_pause(
    world: World,
) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, Resting(world.at + timedelta(seconds=5), "because"))
    world.later(-HOURS)
    assert len(await world.store.runnable()) == 1
    await world.begin(incident_id, "w:2")
    await world.end(incident_id, Resting(world.at + timedelta(seconds=5), "because"), "w:2")
    assert await world.store.runnable() == []


# -- people ------------------------------------------------------------------------------------------------


async def test_who_is_to_be_told_is_told_at_once_though_the_clock_was_set_back(world: World) -> None:
    telling = Telling(listeners=(Listener("pager", frozenset({"escalated"})),))
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.finished("escalated"))
    world.later(-HOURS)
    await world.store.settle_notices(telling)
    assert await world.store.targets_due() == ["pager"]
    await world.store.postpone_deliveries("pager", world.at + timedelta(seconds=60))
    world.later(-HOURS)
    [delivery] = await world.store.claim_deliveries(telling, "pager")
    assert delivery.event == "escalated"
