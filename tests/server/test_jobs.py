"""What waits for the writer: alerts first, and a commit that takes in no more than fits in a moment."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import Connection, text

from server.store.jobs import MOST_IN_ONE_COMMIT, SLICE_SECONDS, Job, Jobs
from tests.server.world import World, alert


class Clock:
    """A clock that is set by hand, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def nothing(_connection: Connection) -> None:
    pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(clock: Clock) -> Jobs:
    return Jobs(clock)


def put(jobs: Jobs, *firsts: bool) -> list[Job]:
    made = [Job(nothing, first) for first in firsts]
    for job in made:
        jobs.put(job)
    return made


def test_what_goes_first_does_and_the_others_keep_their_order(jobs: Jobs) -> None:
    a, b, alert = put(jobs, False, False, True)
    assert jobs.wait() == 3
    assert list(jobs.take()) == [alert, a, b]


def test_a_commit_ends_after_its_moment_and_the_rest_waits_for_the_next(jobs: Jobs, clock: Clock) -> None:
    a, b, c = put(jobs, False, False, False)
    taken = jobs.take()
    assert next(taken) is a
    clock.now += SLICE_SECONDS / 2
    assert next(taken) is b
    clock.now += SLICE_SECONDS / 2
    assert list(taken) == []
    assert jobs.wait() == 1
    assert list(jobs.take()) == [c]


def test_an_alert_that_comes_while_a_commit_is_open_still_comes_along(jobs: Jobs, clock: Clock) -> None:
    a, _ = put(jobs, False, False)
    taken = jobs.take()
    assert next(taken) is a
    clock.now += 10
    [alert] = put(jobs, True)
    assert list(taken) == [alert]


def test_however_long_the_first_takes_the_others_go_on_a_commit_each(jobs: Jobs, clock: Clock) -> None:
    waiting = put(jobs, *[False] * 5)
    for job in waiting:
        taken = jobs.take()
        assert next(taken) is job
        clock.now += 60
        assert list(taken) == []


def test_no_commit_takes_more_than_so_many(jobs: Jobs) -> None:
    put(jobs, *[False] * (MOST_IN_ONE_COMMIT + 1))
    assert len(list(jobs.take())) == MOST_IN_ONE_COMMIT
    assert jobs.wait() == 1


def test_after_the_end_what_waited_is_still_given_and_nothing_else(jobs: Jobs) -> None:
    before = put(jobs, False, True)
    jobs.end()
    put(jobs, False)
    assert jobs.wait() == 2
    assert set(jobs.take()) == set(before)
    assert jobs.wait() == 0 == jobs.wait()


async def test_an_alert_that_is_posted_is_written_before_what_a_heal_wrote_earlier(world: World) -> None:
    database = world.store._db
    begun, go_on = threading.Event(), threading.Event()
    seen: list[int] = []

    def held(_connection: Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    def of_a_heal(connection: Connection) -> None:
        seen.append(connection.execute(text("SELECT count(*) FROM alerts")).scalar_one())

    writes = [asyncio.create_task(database.write(held))]
    assert await asyncio.to_thread(begun.wait, 10)
    writes += [asyncio.create_task(database.write(of_a_heal)) for _ in range(3)]
    await asyncio.sleep(0)
    posting = asyncio.create_task(world.post(alert()))
    for _ in range(10):
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(posting, *writes)
    assert seen == [1, 1, 1]


async def test_in_the_database_an_alert_is_written_before_what_came_earlier(world: World) -> None:
    database = world.store._db
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def held(_connection: Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    def written(name: str, fails: bool = False) -> asyncio.Task[None]:
        def work(connection: Connection) -> None:
            order.append(name)
            connection.execute(text("SELECT 1"))
            if fails:
                raise ValueError(name)

        return asyncio.create_task(database.write(work, first=name.startswith("alert")))

    holding = asyncio.create_task(database.write(held))
    assert await asyncio.to_thread(begun.wait, 10)
    tasks = [written("leg 1"), written("leg 2", fails=True), written("alert 1"), written("alert 2", fails=True)]
    await asyncio.sleep(0)
    go_on.set()
    ended = await asyncio.gather(holding, *tasks, return_exceptions=True)
    assert order == ["alert 1", "alert 2", "leg 1", "leg 2"]
    assert [type(one) for one in ended] == [type(None), type(None), ValueError, type(None), ValueError]
