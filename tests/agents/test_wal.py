"""The write-ahead log is copied back beside who writes, and does not grow for ever."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agents import wal
from agents.wal import NET, WalCopier
from evals.lab.probing import wait_until

LOG_PAGES = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("PRAGMA journal_mode=WAL", NET, "PRAGMA busy_timeout=2000"):
            connection.execute(pragma)
        connection.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, what TEXT)")
        yield connection


@pytest.fixture
def copier(path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[WalCopier]:
    """One that finds little to be much."""
    monkeypatch.setattr(wal, "ROWS", 10)
    monkeypatch.setattr(wal, "LONG", LOG_PAGES)
    monkeypatch.setattr(wal, "REST_SECONDS", 0.001)
    made = WalCopier(path)
    yield made
    made.close()


def write(connection: sqlite3.Connection, rows: int, copier: WalCopier | None = None) -> None:
    for _ in range(rows):
        connection.execute("INSERT INTO things (what) VALUES (?)", ("x" * 3_000,))
        if copier is not None:
            copier.wrote(connection)


def without_its_log(path: Path, folder: Path) -> int:
    """How many rows the file itself has."""
    folder.mkdir(exist_ok=True)
    (folder / path.name).write_bytes(path.read_bytes())
    with closing(sqlite3.connect(folder / path.name)) as copy:
        try:
            return int(copy.execute("SELECT count(*) FROM things").fetchone()[0])
        except sqlite3.DatabaseError:  # no such table: nothing has been copied yet; or it is being copied right now
            return 0


def missing(path: Path, folder: Path, rows: int) -> str | None:
    found = without_its_log(path, folder)
    return None if found >= rows else f"{found} of {rows} rows"


def test_what_is_written_is_copied_without_the_writer(
    connection: sqlite3.Connection, path: Path, copier: WalCopier, tmp_path: Path
) -> None:
    write(connection, 9, copier)
    assert without_its_log(path, tmp_path / "before") == 0
    write(connection, 1, copier)
    wait_until(lambda: missing(path, tmp_path / "after", 10), 10, "the copy")


def test_a_long_log_begins_anew_while_others_write_on(
    connection: sqlite3.Connection, path: Path, copier: WalCopier
) -> None:
    write(connection, 4_000, copier)
    pages = path.with_name("some.db-wal").stat().st_size / 4_096
    assert pages < 4_000  # each of the rows took at least one
    assert connection.execute("SELECT count(*) FROM things").fetchone() == (4_000,)


def test_nobody_copying_the_log_has_an_end_all_the_same(connection: sqlite3.Connection) -> None:
    assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (32_000,)


def test_a_log_that_cannot_be_copied_is_told_and_tried_again(
    connection: sqlite3.Connection, path: Path, tmp_path: Path, copier: WalCopier, caplog: pytest.LogCaptureFixture
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO things (what) VALUES ('x')")
    with caplog.at_level(logging.WARNING, "selfheal.wal"):
        copier._long = True
        copier.wrote(connection)  # within a transaction SQLite refuses
    connection.execute("COMMIT")
    assert "could not be copied back" in caplog.text
    write(connection, 20, copier)
    wait_until(lambda: missing(path, tmp_path / "after", 11), 10, "the copy")


def test_a_new_connection_of_the_writer_counts_from_its_own_beginning(
    connection: sqlite3.Connection, path: Path, copier: WalCopier, tmp_path: Path
) -> None:
    write(connection, 500, copier)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        write(other, 30, copier)
        wait_until(lambda: missing(path, tmp_path / "after", 510), 10, "the copy")
