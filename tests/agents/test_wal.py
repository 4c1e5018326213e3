"""The write-ahead log is copied back beside who writes, and does not grow for ever."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
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


@contextmanager
def closing_copier(path: Path) -> Iterator[WalCopier]:
    """One with the shipped measures, to which nothing here is much."""
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


def beginning(path: Path) -> bytes:
    """What a log is salted with: another with every log."""
    return path.with_name("some.db-wal").read_bytes()[16:24]


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


def test_a_long_log_begins_anew_under_who_writes(connection: sqlite3.Connection, path: Path, copier: WalCopier) -> None:
    first = beginning(path)
    rows = 0

    def same() -> str | None:
        nonlocal rows
        write(connection, 10, copier)
        rows += 10
        return "it is still the first log" if beginning(path) == first else None

    wait_until(same, 20, "another log", every=0.001)
    assert rows >= LOG_PAGES // 3  # a commit of one row takes two or three pages
    assert connection.execute("SELECT count(*) FROM things").fetchone() == (rows,)


def test_the_writers_own_part_ends_a_log_that_has_become_long(connection: sqlite3.Connection, path: Path) -> None:
    with closing_copier(path) as copier:
        write(connection, 5, copier)
        first = beginning(path)
        write(connection, 1, copier)
        assert beginning(path) == first
        copier._long = True
        write(connection, 2, copier)
    assert beginning(path) != first


def test_left_to_itself_the_log_of_so_few_rows_does_not_begin_anew(connection: sqlite3.Connection, path: Path) -> None:
    first = beginning(path)
    write(connection, 1_000)
    assert beginning(path) == first


def test_a_copier_that_cannot_open_its_file_says_so_and_hinders_nobody(
    connection: sqlite3.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "selfheal.wal"):
        copier = WalCopier(tmp_path / "not there" / "some.db")
        copier.close()
    assert "some.db is left to whose commits fill it" in caplog.text
    write(connection, 5, copier)


def test_a_connection_that_was_closed_meanwhile_is_no_error_of_the_writer(path: Path, copier: WalCopier) -> None:
    gone = sqlite3.connect(path)
    gone.close()
    copier._long = True
    copier.wrote(gone)


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
