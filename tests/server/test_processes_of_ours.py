"""What each sort of process is for, and that it says so where it can't be of use."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evals.postgres_server import PostgresServer
from server import exits
from server.chores import on_duty
from server.cli import run
from server.examine import _database
from server.settings import Settings
from tests.server.world import World


@pytest.mark.parametrize("command", [("worker",), ("serve", "--web-only")])
def test_what_needs_a_database_that_others_share_says_so_on_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    config = tmp_path / "selfheal.yaml"
    config.write_text("database_url: sqlite:///selfheal.db\n")
    assert run([*command, "--config", str(config)]) == exits.USAGE
    assert "set database_url" in capsys.readouterr().err
    assert not (tmp_path / "selfheal.db").exists()


def test_the_doctor_looks_into_postgresql(postgres: PostgresServer) -> None:
    well = _database(Settings(database_url=postgres.new_database()))
    assert (well.status, well.found[:10]) == ("ok", "PostgreSQL")
    absent = _database(Settings(database_url=postgres.url("nobody_made_this")))
    assert absent.status == "fail" and "nobody_made_this" in absent.found and "database_url" in absent.remedy


async def test_a_chore_that_breaks_is_told_and_begun_anew(
    sqlite_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    begun = asyncio.Semaphore(0)

    async def work() -> None:
        begun.release()
        raise RuntimeError("no such luck")

    doing = asyncio.create_task(on_duty(sqlite_world.store, "plots", "a", work, look_seconds=0.01))
    async with asyncio.timeout(20):
        for _ in range(2):
            await begun.acquire()
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    assert "plots has ended and is begun anew: no such luck" in caplog.text
