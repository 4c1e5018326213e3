"""What is promised when processes die and databases fail: nothing accepted is lost, nothing is stranded."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from server.store import Leg, Store, StoreBusy
from tests.server.test_runner import ScriptedAgent, Server, closed, until

ROOT = Path(__file__).resolve().parents[2]

ACCEPT_AND_HANG = """
import asyncio, sys
from graph.records import AlertGroup
from server.store import Store
from tests.server.world import alert, placing

async def main():
    store = Store.open(sys.argv[1])
    [accepted] = await store.accept(AlertGroup(alerts=(alert(),)), placing)
    if sys.argv[2] == "begin":
        await store.begin_leg(accepted.incident_id, 1, "the-one-that-dies:1", 3600)
    print(accepted.incident_id, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("until_when", ["accept", "begin"])
async def test_an_alert_accepted_by_a_process_that_is_killed_is_healed_by_the_next(
    tmp_path: Path, until_when: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ACCEPT_AND_HANG,
        f"sqlite:///{tmp_path / 'selfheal.db'}",
        until_when,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        incident_id = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()

    server = Server(tmp_path)
    await server.up("next")
    try:
        await until(lambda: closed(server, incident_id))
        assert [holder for _, holder in server.agent.legs] == ["next:1" if until_when == "accept" else "next:2"]
    finally:
        await server.down()


class FailsAtFirst:
    """A store whose first legs can't be begun, as the disk is full."""

    def __init__(self, store: Store, times: int) -> None:
        self._store = store
        self.left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim(self, worker: str, lease_seconds: float, limit: int) -> list[Leg]:
        if self.left:
            self.left -= 1
            raise StoreBusy("the database could not be written: disk is full")
        return await self._store.claim(worker, lease_seconds, limit)


async def test_a_leg_that_could_not_be_begun_is_begun_when_the_database_works_again(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.up()
    server.runner._store = FailsAtFirst(server.store, times=3)  # type: ignore[assignment]
    try:
        incident_id = await server.post()
        await until(lambda: closed(server, incident_id), 30)
        assert len(server.agent.legs) == 1
        assert server.runner.running == 0
    finally:
        await server.down()


async def test_a_worker_that_lost_its_lease_changes_nothing_any_more(tmp_path: Path) -> None:
    server = Server(tmp_path, ScriptedAgent())
    await server.up()
    server.agent.gate = asyncio.Event()
    try:
        incident_id = await server.post()
        await until(lambda: len(server.agent.legs) == 1)
        await server.store.start_over()
        await until(lambda: len(server.agent.legs) == 2)
        server.agent.gate.set()
        await until(lambda: closed(server, incident_id))
        record = await server.store.incident(incident_id)
        assert record is not None
        assert [entry["node"] for entry in record["timeline"]].count("server") >= 2
        assert any("goes on where it was" in entry["sentence"] for entry in record["timeline"])
    finally:
        await server.down()
