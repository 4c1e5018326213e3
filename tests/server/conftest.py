"""A world with a store of its own for each test, and a live server for those that talk to one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from evals.postgres_server import NoPostgres, PostgresServer, running_postgres
from server.client import ServerClient
from tests.server.fleet_world import Fleet
from tests.server.live import LiveServer
from tests.server.web import TOKENS, alert_body
from tests.server.world import World


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real server with room for a database for each test."""
    try:
        with running_postgres() as server:
            yield server
    except NoPostgres as error:
        pytest.skip(str(error))


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """On each database there is: the same stories are true on both."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made = World(tmp_path, server.new_database() if server else "")
    yield made
    await made.store.close()


@pytest_asyncio.fixture
async def sqlite_world(tmp_path: Path) -> AsyncIterator[World]:
    """For what is true of SQLite alone."""
    made = World(tmp_path)
    yield made
    await made.store.close()


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    for store in made.opened_stores:
        await store.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    server = LiveServer(tmp_path)
    server.up()
    yield server
    server.down()


@pytest.fixture
def incident(live: LiveServer) -> str:
    """An incident at the live server."""
    with ServerClient(f"http://127.0.0.1:{live.port}", TOKENS.operator) as client:
        return str(client.post_alerts(json.dumps(alert_body()).encode())["incidents"][0]["id"])
