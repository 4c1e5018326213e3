"""A database of an earlier release opens as today's, with all that was in it; a newer one is left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text

from evals.postgres_server import PostgresServer
from server.store import Store, StoreError
from server.store.postgres import postgres_engine
from server.store.preparing import HEAD, metadata_of_all_tables, prepare
from server.store.upgrading import known_revisions, upgrade
from tests.server.world import RESOURCE, World, alert, plan

RECORDED = Path(__file__).with_name("recorded")
"""Databases as the releases of that number left them: an incident waits, one was healed, one is unplaced; a pause."""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        made = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        made = postgres_engine(server.new_database())
    yield made
    made.dispose()


def of_release(number: str, folder: Path) -> None:
    with sqlite3.connect(folder / "selfheal.db") as connection:
        connection.executescript((RECORDED / f"database_of_{number}.sql").read_text())
    connection.close()


def test_the_last_step_is_the_one_the_code_knows() -> None:
    assert known_revisions()[-1] == HEAD


def test_all_steps_together_make_the_tables_that_a_new_database_gets_at_once(empty: Engine) -> None:
    with empty.begin() as connection:
        upgrade(connection)
        found = compare_metadata(MigrationContext.configure(connection), metadata_of_all_tables())
    assert found == []


def test_a_database_that_is_todays_is_not_touched(empty: Engine) -> None:
    for _ in range(2):
        with empty.begin() as connection:
            prepare(connection)
            assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [HEAD]


async def test_a_database_of_the_previous_release_keeps_all_that_was_in_it(tmp_path: Path) -> None:
    of_release("0_1", tmp_path)
    world = World(tmp_path)
    page = await world.store.incidents()
    assert [(item["number"], item["phase"]) for item in page.items] == [
        (3, "escalated"),
        (2, "closed"),
        (1, "waiting_approval"),
    ]
    assert [(item["scope"], item["by"]) for item in await world.store.pauses()] == [("group:web", "ada")]
    assert [entry["what"] for entry in (await world.store.audit())[0]] == ["pause"]
    await world.store.decide(page.items[2]["id"], "approve", plan().plan_fingerprint, "ada")
    begun = await world.begin(page.items[2]["id"], "w:9")
    assert begun.decision is not None and begun.incident.resource == RESOURCE
    await world.opened(alert(resource_id="inst-2"))
    await world.store.close()


async def test_the_one_pause_of_the_first_releases_still_holds(tmp_path: Path) -> None:
    of_release("0_1", tmp_path)
    with sqlite3.connect(tmp_path / "selfheal.db") as connection:
        connection.execute("INSERT INTO switches (name, by, reason, at) VALUES ('pause', 'bob', 'old', 1)")
    connection.close()
    world = World(tmp_path)
    assert ("all", "bob") in [(item["scope"], item["by"]) for item in await world.store.pauses()]
    await world.store.close()


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    of_release("0_1", tmp_path)
    with sqlite3.connect(tmp_path / "selfheal.db") as connection:
        connection.execute("CREATE TABLE workers (name TEXT)")
        before = tables(connection)
    connection.close()
    with pytest.raises(StoreError, match="workers"):
        Store.open(f"sqlite:///{tmp_path / 'selfheal.db'}")
    with sqlite3.connect(tmp_path / "selfheal.db") as connection:
        assert tables(connection) == before
    connection.close()


def test_a_database_of_a_newer_release_is_refused(empty: Engine) -> None:
    with empty.begin() as connection:
        prepare(connection)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="schema version 9999"):
        Store.open(empty.url.render_as_string(hide_password=False))


def test_the_previous_release_leaves_todays_database_alone(empty: Engine) -> None:
    with empty.begin() as connection:
        prepare(connection)
        assert connection.execute(text("SELECT schema_version FROM meta")).scalars().all() == [2]


def tables(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


async def test_what_an_earlier_step_told_of_alerts_that_joined_is_told_once_beside_what_joins_now(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    incident_id = await world.opened()
    await world.post(alert("ServiceDown"))
    await world.store.close()
    with sqlite3.connect(tmp_path / "selfheal.db") as connection:
        connection.execute(
            "INSERT INTO timeline (incident_id, key, at, node, author, sentence, records) SELECT incident_id, "
            "'joined:' || fingerprint, first_at, 'server', 'alertmanager', joined, '{}' FROM alerts "
            "WHERE joined IS NOT NULL"
        )
        connection.execute("ALTER TABLE alerts DROP COLUMN joined")
        connection.execute("UPDATE alembic_version SET version_num = '0002'")
    connection.close()
    world.store = world.open()
    await world.post(alert("ServiceSlow"))
    told = [entry["sentence"] for entry in await world.store.timeline(incident_id)]
    assert [sentence.split()[0] for sentence in told if "joins #1" in sentence] == ["ServiceDown", "ServiceSlow"]
    await world.store.close()
