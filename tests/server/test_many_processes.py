"""Several processes on one PostgreSQL: no leg is run twice, nothing has to be polled for, and a restart is survived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import text

from agents.instance import INSTANCE
from agents.legs import Finished
from evals.postgres_server import NoPostgres, PostgresServer, running_postgres
from graph.records import ActionResult, Alert, AlertGroup, Outcome
from graph.rules.classify import Placed, place
from server.chores import on_duty
from server.store import Store, StoreBusy
from server.store.postgres import STOPPED_WRITER_SECONDS, WRITERS_LOCK, plain_url
from server.store.workers import Worker
from tests.server.test_runner import until
from tests.server.world import RESOURCE, World, alert, placing

DONE = Finished(Outcome(status="mitigated", reason="held"))
RESOURCES = {("Instance", f"inst-{number}"): RESOURCE for number in range(60)}


def anywhere(found: Alert) -> Placed:
    return place(found, {"Instance": INSTANCE}, RESOURCES)


def group(*alerts: Alert) -> AlertGroup:
    return AlertGroup(alerts=alerts)


@pytest_asyncio.fixture
async def two(postgres: PostgresServer) -> AsyncIterator[tuple[Store, Store]]:
    """Two processes' stores on one database."""
    url = postgres.new_database()
    stores = Store.open(url), Store.open(url)
    yield stores
    for store in stores:
        await store.close()


async def test_many_workers_share_all_legs_and_none_is_taken_twice(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    stores = [Store.open(url) for _ in range(8)]
    for number in range(40):
        await stores[number % 8].accept(group(alert(resource_id=f"inst-{number}")), anywhere)
    taken: list[tuple[str, int]] = []

    async def work(store: Store, name: str) -> int:
        mine = 0
        while begun := await store.claim(name, 30, 4):
            for leg in begun:
                taken.append((leg.incident.id, leg.number))
                mine += await store.end_leg(leg.incident.id, leg.number, leg.holder, DONE)
        return mine

    counts = await asyncio.gather(*(work(store, f"w{index}") for index, store in enumerate(stores)))
    assert len(taken) == len(set(taken)) == 40 == sum(counts)
    for store in stores:
        await store.close()


async def test_alerts_of_one_resource_at_many_servers_are_one_incident(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    stores = [Store.open(url) for _ in range(6)]
    names = [f"Alert{number}" for number in range(5)]
    accepted = await asyncio.gather(*(store.accept(group(alert(name)), placing) for store in stores for name in names))
    ids = {item.incident_id for found in accepted for item in found}
    assert len(ids) == 1
    record = await stores[0].incident(ids.pop() or "")
    assert record is not None
    assert sum(item["count"] for item in record["alerts"]) == 30 and len(record["alerts"]) == 5
    for store in stores:
        await store.close()


async def test_what_one_process_commits_wakes_the_others(two: tuple[Store, Store]) -> None:
    here, there = two
    heard: list[str] = []
    there.listen(heard.append, told=False)
    here.hear_others()
    there.hear_others()
    await until(lambda: "" in heard)
    [accepted] = await here.accept(group(alert()), placing)
    await until(lambda: accepted.incident_id in heard)


async def test_leases_go_by_the_databases_clock_whatever_a_machine_says(two: tuple[Store, Store]) -> None:
    with psycopg.connect(plain_url(two[0]._db.url or "")) as connection:
        [now] = connection.execute("SELECT clock_timestamp()").fetchone() or [datetime.now(UTC)]
    assert abs(two[0].time() - now) < timedelta(seconds=5)


async def test_a_chore_is_done_by_one_process_until_that_is_gone(two: tuple[Store, Store]) -> None:
    here, there = two
    assert await here.workers.on_duty("plots", "a", 60)
    assert await here.workers.on_duty("plots", "a", 60)
    assert not await there.workers.on_duty("plots", "b", 60)
    await here.workers.leave("a")
    assert await there.workers.on_duty("plots", "b", 60)
    done = asyncio.Event()

    async def work() -> None:
        done.set()
        await asyncio.Event().wait()

    doing = asyncio.create_task(on_duty(there, "plots", "b", work))
    await asyncio.wait_for(done.wait(), 10)
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)


async def test_who_is_alive_can_be_seen_by_all(two: tuple[Store, Store]) -> None:
    here, there = two
    worker = Worker("a", "worker", "host", 1, "0.1.0")
    await here.workers.beat(worker)
    await here.workers.beat(replace(worker, name="b", role="web"))
    assert [(item["name"], item["role"], item["alive"]) for item in await there.workers.alive()] == [
        ("a", "worker", True),
        ("b", "web", True),
    ]
    await here.workers.leave("a")
    assert [item["name"] for item in await there.workers.alive()] == ["b"]


async def test_a_writer_that_stands_still_in_its_transaction_is_thrown_out(two: tuple[Store, Store]) -> None:
    here, there = two
    url = plain_url(here._db.url or "")
    with psycopg.connect(url, options=f"-c idle_in_transaction_session_timeout={STOPPED_WRITER_SECONDS}s") as stopped:
        stopped.execute("SELECT pg_advisory_xact_lock(%s)", (WRITERS_LOCK,))
        async with asyncio.timeout(30):
            [accepted] = await there.accept(group(alert()), placing)
        assert accepted.decision == "opened"
        with pytest.raises(psycopg.Error):
            stopped.execute("SELECT 1")


async def test_what_is_known_only_here_is_written_though_the_database_restarts(tmp_path: Path) -> None:
    try:
        with running_postgres() as server:
            await _restarted(server, World(tmp_path, server.new_database()))
    except NoPostgres as error:
        pytest.skip(str(error))


async def _restarted(server: PostgresServer, world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.store.start(world.request(incident_id))
    server.stop("immediate")
    with pytest.raises(StoreBusy):
        await world.post(alert())
    ended = ActionResult(
        idempotency_key=f"{incident_id}:1:0", action="restart_service", step=0, status="succeeded", rendered="r"
    )
    writing = asyncio.create_task(world.store.finish(ended))
    await asyncio.sleep(0.2)
    assert not writing.done()
    await asyncio.to_thread(server.start)
    await asyncio.wait_for(writing, 30)
    found = await world.store.find(f"{incident_id}:1:0")
    assert found is not None and found.result is not None and found.result.status == "succeeded"
    assert (await world.post(alert()))[0].decision == "joined"
    await world.store.close()


async def test_a_text_that_postgresql_cannot_hold_is_kept_without_what_it_cannot(two: tuple[Store, Store]) -> None:
    [accepted] = await two[0].accept(group(alert()), placing)
    assert accepted.incident_id is not None
    ref = await two[0].keep(accepted.incident_id, "E1", "logs", "before\0after")
    assert await two[1].raw(ref) == "before\N{REPLACEMENT CHARACTER}after"
    longest = alert("A" * 2048, resource_id="r" * 2048)
    [unplaced] = await two[0].accept(group(longest), placing)
    assert unplaced.decision == "opened"
    count = await two[1]._db.read(lambda c: c.execute(text("SELECT count(*) FROM incidents")).scalar())
    assert count == 2
