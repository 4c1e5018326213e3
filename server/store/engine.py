"""Reads and writes of the store off the event loop: one writer with group commit, a few readers.

On SQLite and PostgreSQL alike a write transaction has the database to itself (see `server.store.postgres`).

All that waits for the writer at one moment shares one commit, so that many durable accepts cost little more than one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError

from agents.wal import WalCopier
from server.store import quick
from server.store.jobs import Job, Jobs
from server.store.postgres import READERS as POSTGRES_READERS
from server.store.postgres import ServersClock, postgres_engine, take_turn
from server.store.preparing import prepare
from server.store.schema import StoreError, sqlite_pragmas
from server.store.stored_json import json_text, json_value

T = TypeVar("T")

LOST = (OperationalError, InterfaceError, InternalError)
"""Errors of the connection or the whole transaction, rather than of one statement."""

READERS = 2
_CLOSED = "the store is closed: the process is going down"
STATEMENTS = 400
"""Kept prepared: `server.store.bulk` has each of its statements in several sizes."""


class StoreBusy(StoreError):
    """The database can't take a write now (locked, disk full): nothing was written, try again later."""


class Database:
    """A database opened for one process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shared = engine.dialect.name == "postgresql"
        self.clock = ServersClock() if self._shared else None
        """The time that all processes on this database go by; None where there is only one."""
        readers = POSTGRES_READERS if self._shared else READERS
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="store-read")
        self._jobs = Jobs()
        self._closed = False
        self._own: Connection | None = None
        """The writer's own connection, on SQLite: from the pool it would cost a tenth of a small commit."""
        self._looking: Connection | None = None
        """For `glance`."""
        self._copier = None if self._shared or not engine.url.database else WalCopier(Path(engine.url.database))
        self.glances = not self._shared
        """Whether this process may read in its event loop: not where that is somebody else's, who minds."""
        self.failing: str | None = None
        """Why a commit came to nothing, until somebody has seen that it would not now: most commits write nothing."""
        self._writer = threading.Thread(target=self._write_loop, name="store-write", daemon=True)
        self._writer.start()

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect and create what is missing. Raises StoreError."""
        sqlite = url.startswith("sqlite")
        kept = {"cached_statements": STATEMENTS}
        engine = (
            create_engine(url, connect_args=kept, json_serializer=json_text, json_deserializer=json_value)
            if sqlite
            else postgres_engine(url)
        )
        if sqlite:
            _tune_sqlite(engine)
        shown = engine.url.render_as_string(hide_password=True)
        try:
            with engine.begin() as connection:
                prepare(connection)
        except DBAPIError as error:
            raise StoreError(f"database {shown} can't be opened: {error.orig}") from error
        made = cls(engine)
        if made.clock is not None:
            with engine.connect() as connection:
                made.clock.look(connection)
        return made

    async def write(self, work: Callable[[Connection], T], first: bool = False) -> T:
        """Run in the writer; returns once committed. `first`: before all that does not go first.

        Raises StoreBusy, StoreError once closed, and whatever `work` raises: then nothing of it is kept.
        """
        if self._closed:
            raise StoreError(_CLOSED)
        job = Job(work, first)
        self._jobs.put(job)
        done: Future[T] = job.done
        return await asyncio.wrap_future(done)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run on a snapshot of what is committed. Raises StoreBusy, and whatever `work` raises."""

        def run() -> T:
            try:
                with self._engine.connect() as connection, _whole_or_gone(connection):
                    return work(connection)
            except LOST as error:
                raise StoreBusy(f"the database could not be read: {error.orig}") from error

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def glance(self, work: Callable[[Connection], T]) -> T:
        """A look at a few rows by an index, as every step of a heal takes some. Raises as `read`.

        On SQLite at once and in the event loop: there no writer keeps a reader waiting, and to have a thread look takes
        ten times as long as to look.
        """
        if not self.glances:
            return await self.read(work)
        if self._closed:
            raise StoreError(_CLOSED)
        try:
            if self._looking is None:
                self._looking = self._engine.connect()
            with _snapshot(self._looking):
                return work(self._looking)
        except Exception as error:
            if self._looking is not None:
                _given_up(self._looking)
            self._looking = None
            if isinstance(error, LOST):
                raise StoreBusy(f"the database could not be read: {error.orig}") from error
            raise

    @property
    def url(self) -> str | None:
        """Where others listen for what is written here; None where there is only this process."""
        return self._engine.url.render_as_string(hide_password=False) if self._shared else None

    async def close(self) -> None:
        """Write what is pending, then let go of the database."""
        if self._closed:
            return
        self._closed = True
        self._jobs.end()
        # Not in asyncio's default threads: the queue engine lends its own to the loop and takes them away.
        await asyncio.get_running_loop().run_in_executor(self._readers, self._writer.join, 10)
        if self._copier is not None:
            await asyncio.get_running_loop().run_in_executor(self._readers, self._copier.close)
        self._readers.shutdown(wait=True)
        if self._looking is not None:
            self._looking.close()
        self._engine.dispose()

    def _write_loop(self) -> None:
        while waiting := self._jobs.wait():
            self._commit(alone=waiting == 1)
            if self._copier is not None and self._own is not None and not self._own.invalidated:
                driver: Any = self._own.connection.driver_connection
                self._copier.wrote(driver)
        if self._own is not None:
            self._own.close()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """The writer's: committed at the end, or nothing of it is kept."""
        if self._shared:  # A connection that its server has closed meanwhile is replaced by the pool.
            with self._engine.begin() as connection:
                yield connection
            return
        if self._own is None:
            self._own = self._engine.connect()
        try:
            with self._own.begin():
                yield self._own
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        """The next transaction gets another connection."""
        own, self._own = self._own, None
        if own is not None:
            _given_up(own)

    def _commit(self, alone: bool) -> None:
        taken: list[Job] = []
        settled: list[tuple[Job, Any, BaseException | None]] = []
        try:
            with self._transaction() as connection:
                if self._shared:
                    take_turn(connection)
                for job in self._jobs.take():
                    taken.append(job)
                    try:
                        # Alone, it needs no savepoint to fail by itself.
                        with nullcontext() if alone else _savepoint(connection):
                            settled.append((job, job.work(connection), None))
                    except LOST:
                        raise  # The transaction is lost with it, and with that what the others wrote.
                    except Exception as error:
                        settled.append((job, None, error))
                        if alone:
                            connection.rollback()
                    if alone:
                        break
            if any(failure for _, _, failure in settled):
                self._let_go()  # Queries that were left half read would pin what this connection sees.
        except Exception as error:
            self.failing = f"the database could not be written: {_reason(error)}"
            settled = [(job, None, StoreBusy(self.failing)) for job in taken or self._jobs.take()]
        for job, value, failure in settled:
            if job.done.set_running_or_notify_cancel():
                job.done.set_exception(failure) if failure else job.done.set_result(value)


def _given_up(connection: Connection) -> None:
    """Not used again, by nobody; its place in the pool is free."""
    connection.invalidate()
    connection.close()


@contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    """One view of the database for all that is read within; straight on SQLite's driver, as `server.store.quick` is."""
    quick.straight(connection, "BEGIN")
    yield
    if connection.in_transaction():  # something was read by SQLAlchemy, which goes by its own
        connection.rollback()
    else:
        quick.straight(connection, "COMMIT")


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    """What fails within is undone; straight on SQLite's driver, as `server.store.quick` is."""
    if connection.dialect.name != "sqlite":
        with connection.begin_nested():
            yield
        return
    quick.straight(connection, "SAVEPOINT one")
    try:
        yield
    except LOST:
        raise
    except BaseException:
        quick.straight(connection, "ROLLBACK TO one")
        quick.straight(connection, "RELEASE one")
        raise
    quick.straight(connection, "RELEASE one")


@contextmanager
def _whole_or_gone(connection: Connection) -> Iterator[None]:
    """A connection whose work broke off is not used again: a query that was left half read, and is kept alive by the
    error's own traceback, would have whoever comes next see the database as it was then."""
    try:
        yield
    except Exception:
        connection.invalidate()
        raise


def _reason(error: BaseException) -> object:
    """What the database said first: after a full disk SQLite has rolled back all, and knows no savepoint any more."""
    first, link = error, error.__context__
    while link is not None:
        first, link = (link if isinstance(link, OperationalError) else first), link.__context__
    return first.orig if isinstance(first, OperationalError) else first


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        # The driver's own transactions would begin too late for SAVEPOINT; we begin ours (see _begin).
        connection.isolation_level = None
        for pragma in sqlite_pragmas():
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The writer takes the write lock at once; a reader's BEGIN only pins its snapshot.
        if threading.current_thread().name == "store-write":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
            connection.exec_driver_sql("BEGIN")  # else `_snapshot` has
