"""Speaks to MariaDB and MySQL by PyMySQL, which blocks: a bounded pool of threads, and a socket timeout on every call.

Tried on MariaDB 10.11. What MySQL 8 and older servers call otherwise is chosen by engine and version, and untried.
"""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CR, ER
from pymysql.converters import escape_item
from pymysql.cursors import DictCursor

from graph.records import Resource
from graph.resources import Engine
from tools.clients.circuit import Circuits
from tools.clients.databases.database import (
    CONNECT_SECONDS,
    STATEMENT_SECONDS,
    DatabaseError,
    DatabaseStatus,
    DatabaseUnreachable,
    Param,
    Row,
    StatementFailed,
    UnreachableHow,
    Value,
    connected,
    database_of,
    database_place,
    read_password,
)
from tools.clients.databases.mariadb_dialect import SECRET, Dialect, dialect_of
from tools.clients.databases.mariadb_reading import (
    COUNTERS,
    LOCK_HOLDERS,
    LOCK_PLUGIN,
    LOCK_WAITS,
    MariaDbReplication,
    applier_waits,
    blocker_of,
    replication_of,
    status_of,
)
from tools.clients.pools import BoundedPool, PoolTimeout
from tools.clients.recording import Recorder

T = TypeVar("T")

THREADS = 8
PER_SERVER = 3
_CHARSET = "utf8mb4"
_GREETING = f"SET NAMES {_CHARSET}"
"""What the driver sends by itself on connecting: on record like everything else."""
_HOW: Mapping[int, UnreachableHow] = {
    ER.CON_COUNT_ERROR: "too_many",
    ER.TOO_MANY_USER_CONNECTIONS: "too_many",
    ER.ACCESS_DENIED_ERROR: "auth",
    ER.DBACCESS_DENIED_ERROR: "auth",
    ER.HOST_NOT_PRIVILEGED: "auth",
    ER.HOST_IS_BLOCKED: "auth",
    ER.SERVER_SHUTDOWN: "starting",
    CR.CR_SERVER_GONE_ERROR: "closed",
    CR.CR_SERVER_LOST: "closed",
}
_LOST = (CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST)


@dataclass(frozen=True)
class Server:
    """One connection, and what is at its other end."""

    connection: Connection[DictCursor]
    resource: Resource
    dialect: Dialect
    own_id: int


class MariaDbClient:
    """Implements `DatabaseClient`. A connection for every question: it costs 3 ms, and none is held while all are
    taken."""

    def __init__(self, recorder: Recorder, engine: Engine = "mariadb", circuits: Circuits | None = None) -> None:
        self._circuits = circuits or Circuits()
        self.engine: Engine = engine
        self._recorder = recorder
        self._pool = BoundedPool(engine, THREADS, PER_SERVER)

    async def status(self, resource: Resource) -> DatabaseStatus:
        """See DatabaseClient.status."""
        async with self._server(resource) as server:
            (variables,) = await self._ask(server, server.dialect.variables)
            counters = await self._ask(server, COUNTERS)
            sessions = await self._ask(server, server.dialect.sessions)
            followed = await self._ask(server, server.dialect.replica_status)
        return status_of(variables, counters, sessions, server.own_id, bool(followed))

    async def replication(self, resource: Resource) -> MariaDbReplication | None:
        """See DatabaseClient.replication. Looks for who blocks its applying, where that waits for a lock."""
        async with self._server(resource) as server:
            rows = await self._ask(server, server.dialect.replica_status)
            if not rows or not rows[0]["Master_Host"]:
                return None
            (positions,) = await self._ask(server, server.dialect.positions)
            sessions = await self._ask(server, server.dialect.sessions)
            found = replication_of(rows[0], positions, sessions)
            if not applier_waits(found, sessions):
                return found
            waits = await self._ask(server, LOCK_WAITS)
            plugin = await self._ask(server, LOCK_PLUGIN) if server.dialect.engine == "mariadb" else ()
            holders = await self._ask(server, LOCK_HOLDERS) if plugin else ()
            return blocker_of(found, sessions, waits, holders, server.own_id)

    async def execute(
        self, resource: Resource, statement: str, params: Sequence[Param] = (), timeout: float = STATEMENT_SECONDS
    ) -> tuple[Row, ...]:
        """See DatabaseClient.execute. A SECRET in the statement is put on record as it is, and sent as the password
        of the resource's replication user: what is on record is what was sent but for that word."""
        text = self.render(resource, statement, params)
        secret = self._secret(resource) if SECRET in text else None
        async with self._server(resource, timeout) as server:
            return await self._ask(server, text, timeout, secret)

    def render(self, resource: Resource, statement: str, params: Sequence[Param] = ()) -> str:
        """See DatabaseClient.render."""
        return statement % tuple(_literal(param) for param in params) if params else statement

    async def close(self) -> None:
        """Take no more work."""
        self._pool.close()

    # -- one connection ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _server(self, resource: Resource, timeout: float = STATEMENT_SECONDS) -> AsyncIterator[Server]:
        database = database_of(resource)
        password = read_password(database.password_file)
        connect = functools.partial(_connect, resource, password, timeout)

        async def greet() -> Connection[DictCursor]:
            await self._recorder.sent(self._place(resource), _GREETING)
            return await self._call(resource, connect, 2 * CONNECT_SECONDS, sent=False)

        connection = await connected(self._circuits, resource, greet)
        try:
            dialect = dialect_of(self.engine, str(connection.get_server_info()))  # type: ignore[no-untyped-call]
            yield Server(connection, resource, dialect, int(connection.thread_id()))  # type: ignore[no-untyped-call]
        except BaseException:
            _hang_up(connection)
            raise
        _take_leave(connection)

    async def _ask(
        self, server: Server, statement: str, timeout: float = STATEMENT_SECONDS, secret: str | None = None
    ) -> tuple[Row, ...]:
        await self._recorder.sent(self._place(server.resource), statement)
        text = statement if secret is None else statement.replace(SECRET, _literal(secret))
        ask = functools.partial(_run, server.connection, text)
        return await self._call(server.resource, ask, timeout + 1, sent=True, late=lambda: _hang_up(server.connection))

    async def _call(
        self,
        resource: Resource,
        work: Callable[[], T],
        timeout: float,
        sent: bool,
        late: Callable[[], None] | None = None,
    ) -> T:
        where = self._place(resource)
        try:
            return await self._pool.call(where, work, timeout, late)
        except PoolTimeout as error:
            raise DatabaseUnreachable(f"{where}: {error}", "timeout", sent and error.started) from error
        except (pymysql.err.Error, OSError) as error:
            raise _told(where, error, sent) from error

    def _place(self, resource: Resource) -> str:
        return database_place(resource)

    @staticmethod
    def _secret(resource: Resource) -> str:
        password = read_password(database_of(resource).replication.password_file)
        if password is None:
            raise DatabaseUnreachable(f"{resource.key} declares no database.replication.password_file", "config")
        return password


def _connect(resource: Resource, password: str | None, timeout: float) -> Connection[DictCursor]:
    database = database_of(resource)
    connection: Connection[DictCursor] = Connection(
        host=resource.address,
        port=database.port,
        user=database.user,
        password=password or "",
        charset=_CHARSET,
        connect_timeout=int(CONNECT_SECONDS),
        # the greeting has to come within these too
        read_timeout=max(1, round(timeout)),
        write_timeout=max(1, round(timeout)),
        autocommit=True,
        cursorclass=DictCursor,
        program_name="selfheal",
        local_infile=False,
    )
    return connection


def _run(connection: Connection[DictCursor], statement: str) -> tuple[Row, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return tuple(_plain(row) for row in cursor.fetchall())


def _plain(row: Mapping[str, Any]) -> Row:
    """Names of MySQL 8 as MariaDB has them; values as JSON knows them."""
    return {_old_name(name): _value(value) for name, value in row.items()}


def _old_name(name: str) -> str:
    return name.replace("Replica_", "Slave_").replace("Source_", "Master_").replace("_Source", "_Master")


def _value(value: object) -> Value:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _literal(value: Param) -> str:
    return str(escape_item(value, _CHARSET))


def _take_leave(connection: Connection[DictCursor]) -> None:
    """Close with a word, or the server would log that we broke off."""
    with contextlib.suppress(pymysql.err.Error, OSError):
        connection.close()


def _hang_up(connection: Connection[DictCursor]) -> None:
    """Close without a word: a thread that still waits for an answer on it ends at once."""
    # Closing alone would leave a thread of ours in recv() until its timeout.
    sock: socket.socket | None = getattr(connection, "_sock", None)
    if sock is not None:
        with contextlib.suppress(OSError):  # it was closed by the other side
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()


def _told(where: str, error: Exception, sent: bool) -> DatabaseError:
    """What the driver raised, in our words."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    said = str(error.args[1]) if len(error.args) > 1 else str(error)
    if code == CR.CR_CONN_HOST_ERROR or isinstance(error, OSError):
        return DatabaseUnreachable(f"{where}: {said}", _how_unreachable(error), sent)
    if code in _LOST and "timed out" in said:
        return DatabaseUnreachable(f"{where}: {said}", "timeout", sent)
    if code in _HOW:
        return DatabaseUnreachable(f"{where}: {said}", _HOW[code], sent and code in _LOST)
    if not sent:
        return DatabaseUnreachable(f"{where}: {said} ({code})", "closed")
    return StatementFailed(f"{where}: {said} ({code})", str(code))


def _how_unreachable(error: Exception) -> UnreachableHow:
    cause = getattr(error, "original_exception", error)
    if isinstance(cause, ConnectionRefusedError):
        return "refused"
    if isinstance(cause, TimeoutError):
        return "timeout"
    if isinstance(cause, socket.gaierror):
        return "dns"
    if isinstance(cause, (ConnectionResetError, BrokenPipeError)):
        return "closed"
    return "no_route"
