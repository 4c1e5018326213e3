"""The audit log is only ever added to: the database refuses anything else, also one of an earlier release."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, insert, text, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.schema import CreateTable

from server.store import Store
from server.store.schema import audit, metadata
from tests.server.world import World

PG_CTL = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), reverse=True)), None)


async def entry_of(world: World) -> None:
    await world.store.pause("ann", "deploy")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'nobody'",
        "UPDATE audit SET detail = '{}' WHERE id = 1",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
        "INSERT OR REPLACE INTO audit (id, at, who, what, detail) VALUES (1, 0, 'x', 'x', '{}')",
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


@pytest.fixture
def postgresql() -> Iterator[str]:
    """A server of our own on a socket in a folder of its own, which its user owns: PostgreSQL does not run as root."""
    if PG_CTL is None:
        pytest.skip("PostgreSQL is missing: sudo apt-get install -y postgresql")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        as_user: list[str] = []
        if os.geteuid() == 0:
            as_user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")

        def run(*command: str) -> None:
            subprocess.run([*as_user, str(PG_CTL), *command], check=True, capture_output=True, timeout=120, cwd="/")

        run("initdb", "-D", str(folder / "data"), "-o", "-A trust -U postgres -N")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run("start", "-w", "-D", str(folder / "data"), "-l", str(folder / "log"), "-o", options)
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            run("stop", "-D", str(folder / "data"), "-m", "immediate")


def test_postgresql_refuses_it_too(postgresql: str) -> None:
    engine = create_engine(postgresql)
    for _ in range(2):
        metadata.create_all(engine)
    entry = insert(audit).values(at=0.0, who="ann", what="approve", detail={})
    with engine.begin() as connection:
        connection.execute(entry)
    for statement in (update(audit).values(who="x"), delete(audit), text("TRUNCATE audit")):
        with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
            connection.execute(statement)
    engine.dispose()
