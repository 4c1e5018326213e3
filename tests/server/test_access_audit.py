"""The audit log is only ever added to: the database refuses anything else, also one of an earlier release."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.schema import CreateTable

from server.store import Store
from server.store.schema import audit
from tests.server.world import World


async def entry_of(world: World) -> None:
    await world.store.pause("ann", "deploy")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'nobody'",
        "UPDATE audit SET detail = '{}' WHERE id = 1",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
        "INSERT INTO audit (id, at, who, what, detail) VALUES (1, 0, 'x', 'x', '{}') "
        "ON CONFLICT (id) DO UPDATE SET who = 'x'",
    ],
)
async def test_what_is_written_is_neither_changed_nor_deleted(world: World, statement: str) -> None:
    await entry_of(world)
    before, _ = await world.store.audit()
    with pytest.raises(DatabaseError, match="append-only"):
        await world.store._db.write(lambda c: c.execute(text(statement)))
    after, _ = await world.store.audit()
    assert before == after and after[0]["who"] == "ann"


async def test_nor_is_it_replaced_or_emptied(world: World) -> None:
    await entry_of(world)
    replaced = "INSERT OR REPLACE INTO audit (id, at, who, what, detail) VALUES (1, 0, 'x', 'x', '{}')"
    statement = replaced if world.url.startswith("sqlite") else "TRUNCATE audit"
    with pytest.raises(DatabaseError, match="append-only"):
        await world.store._db.write(lambda c: c.execute(text(statement)))
    assert len((await world.store.audit())[0]) == 1


async def test_it_is_still_added_to(world: World) -> None:
    await entry_of(world)
    await entry_of(world)
    entries, _ = await world.store.audit()
    assert len(entries) == 2


async def test_a_database_made_before_is_guarded_once_it_is_opened(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "selfheal.db")
    old.execute(str(CreateTable(audit).compile(create_engine("sqlite://"))))
    old.execute("INSERT INTO audit (at, who, what, detail) VALUES (0, 'ann', 'approve', '{}')")
    old.commit()
    old.close()
    for _ in range(2):
        store = Store.open(f"sqlite:///{tmp_path / 'selfheal.db'}")
        with pytest.raises(DatabaseError, match="append-only"):
            await store._db.write(lambda c: c.execute(delete(audit)))
        entries, _ = await store.audit()
        assert [entry["who"] for entry in entries] == ["ann"]
        await store.close()
