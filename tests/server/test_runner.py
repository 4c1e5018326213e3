"""Legs through the real queue engine and the real store; only the agent is a stand-in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.legs import Finished, LegEnd, Resting
from graph.journal import LeaseLost
from graph.records import Alert, AlertGroup, Attempt, Incident, Outcome
from server.clock_watch import elapsed
from server.leases import HeldLeases
from server.runner import Runner, RunnerTimes
from server.store import Store
from tests.server.world import alert, placing

DONE = Finished(Outcome(status="mitigated", reason="held"))
QUICK = RunnerTimes(lease=1.0, renew=0.2, sweep=0.1, recheck=0.1)


@dataclass
class ScriptedAgent:
    """Answers leg after leg what it was told to; an exception is raised."""

    script: list[LegEnd | Exception] = field(default_factory=list)
    legs: list[tuple[str, str]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    drained: bool = False

    async def heal(
        self,
        incident: Incident,
        *,
        holder: str,
        decision: Mapping[str, Any] | None = None,
        attempts: Sequence[Attempt] = (),
        fresh: bool = False,
    ) -> LegEnd:
        self.legs.append((incident.resource_id, holder))
        if self.gate is not None:
            await self.gate.wait()
        end = self.script.pop(0) if self.script else DONE
        if isinstance(end, Exception):
            raise end
        return end

    def drain(self) -> None:
        self.drained = True


@dataclass
class Server:
    """A store and a runner, as `serve` has them."""

    folder: Path
    agent: ScriptedAgent = field(default_factory=ScriptedAgent)
    firing: bool | None = False
    room: int = 2
    times: RunnerTimes = QUICK

    async def up(self, name: str = "test") -> None:
        self.store = Store.open(f"sqlite:///{self.folder / 'selfheal.db'}")
        await self.store.start_over()

        async def condition(alert: Alert) -> bool | None:
            return self.firing

        self.runner = Runner(self.store, {"Instance": self.agent}, condition, name, self.times, concurrency=self.room)
        self.runner.start()

    async def down(self) -> None:
        await self.runner.stop(2)
        await self.store.close()

    async def post(self, *alerts: Alert) -> str:
        [first, *_] = await self.store.accept(AlertGroup(alerts=alerts or (alert(),)), placing)
        assert first.incident_id is not None
        return first.incident_id

    async def phase(self, incident_id: str) -> str:
        record = await self.store.incident(incident_id)
        return str(record and record["phase"])


async def until(holds: Callable[[], Any], seconds: float = 15) -> None:
    """Wait until something holds, at most that long."""
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    await made.up()
    yield made
    await made.down()


async def closed(server: Server, incident_id: str) -> bool:
    return await server.phase(incident_id) == "closed"


async def test_an_accepted_alert_is_healed_without_anybody_asking(server: Server) -> None:
    incident_id = await server.post()
    await until(lambda: closed(server, incident_id))
    assert len(server.agent.legs) == 1


async def test_a_rest_is_taken_up_again_when_its_time_has_come(server: Server) -> None:
    server.agent.script = [Resting(datetime.now(UTC) + timedelta(seconds=0.3), "soaking"), DONE]
    incident_id = await server.post()
    await until(lambda: closed(server, incident_id))
    assert [holder for _, holder in server.agent.legs] == ["test:1", "test:2"]


async def test_an_error_of_ours_is_tried_again(server: Server) -> None:
    server.agent.script = [KeyError("x"), DONE]
    incident_id = await server.post()
    await until(lambda: closed(server, incident_id))
    assert len(server.agent.legs) == 2


async def test_more_resources_than_workers_are_all_healed(server: Server) -> None:
    server.agent.gate = asyncio.Event()
    first = await server.post(alert())
    second = await server.post(alert(resource_id="inst-2"))
    await until(lambda: len(server.agent.legs) == 2)
    server.agent.gate.set()
    for incident_id in (first, second):
        await until(lambda found=incident_id: closed(server, found))


async def test_a_long_leg_keeps_its_lease(server: Server) -> None:
    server.agent.gate = asyncio.Event()
    incident_id = await server.post()
    await asyncio.sleep(1.6)
    assert await server.phase(incident_id) == "running"
    server.agent.gate.set()
    await until(lambda: closed(server, incident_id))
    assert len(server.agent.legs) == 1


async def test_a_process_that_stood_still_past_its_leases_does_not_take_its_own_heals_for_lost(tmp_path: Path) -> None:
    server = Server(tmp_path, times=RunnerTimes(lease=1.0, renew=0.9, sweep=0.1, recheck=0.1))
    await server.up()
    server.agent.gate = asyncio.Event()
    incident_id = await server.post()
    await until(lambda: len(server.agent.legs) == 1)
    time.sleep(QUICK.lease + 0.3)  # noqa: ASYNC251 - the whole loop, as on a machine that is suspended or overrun
    await asyncio.sleep(3 * QUICK.sweep)
    assert len(server.agent.legs) == 1
    server.agent.gate.set()
    await until(lambda: closed(server, incident_id))
    assert len(server.agent.legs) == 1
    await server.down()


async def test_what_ran_when_the_process_went_away_is_run_by_the_next(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.up("first")
    server.agent.gate = asyncio.Event()
    incident_id = await server.post()
    await until(lambda: len(server.agent.legs) == 1)
    await server.runner.stop()
    await server.store.close()

    successor = Server(tmp_path)
    await successor.up("second")
    await until(lambda: closed(successor, incident_id))
    assert [holder for _, holder in successor.agent.legs] == ["second:2"]
    await successor.down()


async def test_a_firing_that_came_back_is_healed_again_only_where_prometheus_shows_it(server: Server) -> None:
    began = datetime.now(UTC)
    incident_id = await server.post(alert(starts_at=began))
    await until(lambda: closed(server, incident_id))
    await server.post(alert(starts_at=began))
    await asyncio.sleep(0.4)
    assert len(server.agent.legs) == 1
    server.firing = True
    await server.post(alert(starts_at=began))
    await until(lambda: len(server.agent.legs) == 2)


async def test_stopping_lets_heals_end_their_super_step(server: Server) -> None:
    await server.runner.stop()
    assert server.agent.drained


@pytest.mark.parametrize("ticks", range(6))
async def test_a_runner_that_is_kicked_in_the_moment_it_stops_does_stop(tmp_path: Path, ticks: int) -> None:
    server = Server(tmp_path)
    server.store = Store.open(f"sqlite:///{tmp_path / 'selfheal.db'}")
    runner = Runner(server.store, {}, lambda alert: asyncio.sleep(0, False), "test", QUICK)
    runner.start()
    await asyncio.sleep(0.3)
    runner.kick()
    for _ in range(ticks):
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await runner.stop()
    await server.store.close()


async def test_never_more_legs_at_a_time_than_there_is_room_and_all_of_them_in_the_end(tmp_path: Path) -> None:
    server = Server(tmp_path, room=1)
    await server.up()
    server.agent.gate = asyncio.Event()
    posted = [await server.post(alert(resource_id=f"inst-{number}")) for number in (1, 2)]
    await until(lambda: server.runner.running == 1)
    await asyncio.sleep(3 * QUICK.sweep)
    assert len(server.agent.legs) == 1
    server.agent.gate.set()
    for incident_id in posted:
        await until(lambda found=incident_id: closed(server, found))
    await server.down()


async def test_a_leg_whose_lease_is_lost_here_may_write_nothing_more(server: Server) -> None:
    leases = HeldLeases()
    leases.keep("one", "w:1", 8.0, elapsed())
    leases.check("one", "w:1")
    leases.keep("one", "w:1", 8.0, elapsed() - 9.0)
    for holder in ("w:1", "never-held"):
        with pytest.raises(LeaseLost):
            leases.check("one", holder)


def test_of_heals_beside_each_other_one_that_ends_leaves_the_others_their_leases() -> None:
    leases = HeldLeases()
    for incident_id in ("one", "other"):
        leases.keep(incident_id, "w:1", 8.0, elapsed())
    leases.drop("one", "w:1")
    leases.check("other", "w:1")
    with pytest.raises(LeaseLost):
        leases.check("one", "w:1")
