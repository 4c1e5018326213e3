"""The real queue engine on a real file: each leg once, never more at a time than there are workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from server.queue import HealQueue
from tests.server.test_runner import until


class Legs:
    """A queue with two workers whose legs end when they may."""

    def __init__(self, folder: Path) -> None:
        self.ran: list[str] = []
        self.most = 0
        self.at_work = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.queue = HealQueue(f"sqlite:///{folder / 'queue.db'}", "test", self.run, worker_concurrency=2)

    async def run(self, incident_id: str, leg: int) -> None:
        self.ran.append(f"{incident_id}:{leg}")
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        await self.may_end.wait()
        self.at_work -= 1

    async def submit(self, name: str, leg: int = 1) -> bool:
        return await self.queue.submit(name, leg, f"Instance/{name}")

    async def idle(self) -> None:
        await until(lambda: self.queue.running == 0)


@pytest_asyncio.fixture
async def legs(tmp_path: Path) -> AsyncIterator[Legs]:
    made = Legs(tmp_path)
    await made.queue.launch()
    yield made
    made.may_end.set()
    await made.queue.close(5)


async def test_a_leg_that_has_run_never_runs_again_and_is_told_to_be_used_up(legs: Legs) -> None:
    assert await legs.submit("a")
    await until(lambda: legs.ran == ["a:1"])
    await legs.idle()
    # The engine writes that a leg is over a moment after it is.
    await until(lambda: _used_up(legs))
    assert legs.ran == ["a:1"]


async def _used_up(legs: Legs) -> bool:
    return not await legs.submit("a")


async def test_legs_that_were_used_up_take_no_worker_away(legs: Legs) -> None:
    for _ in range(3):
        await legs.submit("a")
        await legs.idle()
    assert legs.queue.running == 0
    legs.may_end.clear()
    await legs.submit("b")
    await legs.submit("c")
    await until(lambda: legs.at_work == 2)


async def test_a_leg_submitted_twice_while_it_runs_runs_once(legs: Legs) -> None:
    legs.may_end.clear()
    assert await legs.submit("a")
    assert await legs.submit("a")
    await until(lambda: legs.at_work == 1)
    legs.may_end.set()
    await legs.idle()
    assert legs.ran == ["a:1"]


async def test_never_more_legs_at_a_time_than_workers_and_all_of_them_in_the_end(legs: Legs) -> None:
    legs.may_end.clear()
    for number in range(8):
        assert await legs.submit(f"i{number}")
    # Two were started at once; give the engine's own polling the time to overstep, if it would.
    await asyncio.sleep(0.6)
    assert legs.at_work == 2
    legs.may_end.set()
    await until(lambda: len(legs.ran) == 8, 30)
    assert sorted(legs.ran) == [f"i{number}:1" for number in range(8)]
    assert legs.most == 2


async def test_a_queued_leg_submitted_again_when_a_worker_is_free_runs_once(legs: Legs) -> None:
    legs.may_end.clear()
    for name in ("a", "b", "c"):
        await legs.submit(name)
    legs.may_end.set()
    await until(lambda: legs.at_work == 0)
    assert await legs.submit("c")
    await until(lambda: "c:1" in legs.ran)
    await legs.idle()
    assert legs.ran.count("c:1") == 1


async def test_after_it_was_closed_threads_can_still_be_used(tmp_path: Path) -> None:
    legs = Legs(tmp_path)
    await legs.queue.launch()
    await legs.submit("a")
    await legs.idle()
    await legs.queue.close(5)
    assert await asyncio.to_thread(lambda: "works") == "works"
