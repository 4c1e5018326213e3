"""PostgreSQL by psycopg: a connection for each question, bounded in every way, and what is sent is sent on the record.

Written for PostgreSQL 12 to 17; tested on 15. Values are put into statements here, not by the server, so that what is
recorded is what is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from graph.records import Resource
from graph.resources import Engine
from tools.clients.circuit import Circuits
from tools.clients.databases.database import (
    APPLICATION,
    CONNECT_SECONDS,
    STATEMENT_SECONDS,
    DatabaseStatus,
    DatabaseUnreachable,
    Param,
    Row,
    Session,
    StatementFailed,
    UnreachableHow,
    connected,
    database_of,
    database_place,
    read_password,
)
from tools.clients.databases.patroni import PatroniClient
from tools.clients.databases.postgres_text import literal
from tools.clients.databases.postgresql_replication import (
    REPLICA,
    PostgresReplication,
    Standby,
    parse_replica,
    parse_standby,
    standby_statement,
)
from tools.clients.recording import Recorder
from tools.redaction import redact

if TYPE_CHECKING:
    import psycopg

_MARGIN_SECONDS = 1.0

STATUS = """\
select pg_is_in_recovery() as in_recovery, current_setting('default_transaction_read_only') = 'on' as read_only,
 current_setting('server_version') as version,
 extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8 as uptime,
 current_setting('max_connections')::int as connections_max,
 (select count(*) from clients) as connections_used,
 (select count(*) from clients where state like 'idle in transaction%') as idle,
 (select count(*) from clients where state = 'active') as active,
 (select count(*) from clients where wait_event_type = 'Lock') as blocked,
 i.pid as idle_pid, i.backend_start::text as idle_started, i.usename as idle_user,
 extract(epoch from clock_timestamp() - i.state_change)::float8 as idle_seconds,
 left(i.application_name, 40) as idle_what,
 q.pid as query_pid, q.backend_start::text as query_started, q.usename as query_user,
 extract(epoch from clock_timestamp() - q.query_start)::float8 as query_seconds,
 lower(substring(q.query from '[A-Za-z]{1,20}')) as query_what
 from (select 1) as one
 left join lateral (select * from clients where state like 'idle in transaction%' order by state_change limit 1) i
 on true
 left join lateral (select * from clients where state = 'active' order by query_start limit 1) q on true"""
_CLIENTS = (
    "with clients as materialized (select * from pg_stat_activity\n"
    " where backend_type = 'client backend' and pid <> pg_backend_pid())\n"
)


class PostgresClient:
    """See DatabaseClient. Connects as `database.user` with the password of `database.password_file`."""

    engine: Engine = "postgresql"

    def __init__(self, recorder: Recorder | None = None, circuits: Circuits | None = None) -> None:
        self._circuits = circuits or Circuits()
        self._recorder = recorder or Recorder()
        self.patroni = PatroniClient(self._recorder)
        """What manages the cluster, where a member declares `patroni_url`."""

    async def status(self, resource: Resource) -> DatabaseStatus:
        """What the member is and how busy. Raises DatabaseError."""
        (row,) = await self.execute(resource, _CLIENTS + STATUS)
        return parse_status(row)

    async def replication(self, resource: Resource) -> PostgresReplication | None:
        """How a replica is fed; None for a primary. Raises DatabaseError."""
        (row,) = await self.execute(resource, REPLICA)
        return parse_replica(row) if row["in_recovery"] else None

    async def standby(self, primary: Resource, replica: Resource) -> Standby:
        """What the primary knows of that replica. Raises DatabaseError."""
        slot = database_of(replica).replication.slot or ""
        statement = standby_statement()
        rows = await self.execute(primary, statement, (slot, slot, replica.address, replica.id, slot))
        return parse_standby(rows[0])

    async def execute(
        self, resource: Resource, statement: str, params: Sequence[Param] = (), timeout: float = STATEMENT_SECONDS
    ) -> tuple[Row, ...]:
        """Run one statement, committed at once. Raises DatabaseUnreachable, StatementFailed."""
        text = self.render(resource, statement, params)
        sent = False
        try:
            async with asyncio.timeout(CONNECT_SECONDS + timeout + _MARGIN_SECONDS):
                async with self._connected(resource, timeout) as connection:
                    # Secrets are no part of what is kept: a statement that holds one is recorded with a mask.
                    await self._recorder.sent(database_place(resource), redact(text))
                    sent = True
                    return await _fetch(connection, text)
        except TimeoutError:
            raise DatabaseUnreachable(f"{database_place(resource)}: no answer in time", "timeout", sent) from None

    def render(self, resource: Resource, statement: str, params: Sequence[Param] = ()) -> str:
        """The statement with its values, for each `%s` one, as literals. No I/O."""
        return rendered(statement, params)

    @asynccontextmanager
    async def _connected(self, resource: Resource, timeout: float) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        import psycopg

        connection = await connected(self._circuits, resource, lambda: _connect(resource, timeout))
        try:
            yield connection
        except psycopg.OperationalError as error:
            if error.sqlstate and not error.sqlstate.startswith(("08", "57P")):
                raise _failed(error) from error
            said = " ".join(redact(str(error)).split())
            raise DatabaseUnreachable(f"{database_place(resource)}: {said}", "closed", sent=True) from error
        except psycopg.Error as error:
            raise _failed(error) from error
        finally:
            await connection.close()


async def _connect(resource: Resource, timeout: float) -> psycopg.AsyncConnection[Any]:
    import psycopg
    from psycopg.rows import dict_row

    database = database_of(resource)
    password = read_password(database.password_file)
    try:
        return await psycopg.AsyncConnection.connect(
            host=resource.address,
            port=database.port,
            user=database.user,
            dbname=database.name,
            password=password,
            # not from the environment or the home of whoever runs us
            passfile="/dev/null",
            connect_timeout=round(CONNECT_SECONDS),
            application_name=APPLICATION,
            client_encoding="utf8",
            options=f"-c statement_timeout={round(timeout * 1000)} -c lock_timeout={round(timeout * 500)}",
            autocommit=True,
            row_factory=dict_row,
        )
    except psycopg.Error as error:
        said = " ".join(redact(str(error)).split())
        raise DatabaseUnreachable(f"{database_place(resource)}: {said}", how_of(said)) from error


async def _fetch(connection: psycopg.AsyncConnection[Any], text: str) -> tuple[Row, ...]:
    import psycopg
    from psycopg.rows import dict_row

    async with psycopg.AsyncRawCursor(connection, row_factory=dict_row) as cursor:
        await cursor.execute(text.encode())
        return tuple(await cursor.fetchall()) if cursor.description else ()


def _failed(error: psycopg.Error) -> StatementFailed:
    return StatementFailed(" ".join(redact(str(error)).split()), error.sqlstate or "")


def rendered(statement: str, params: Sequence[Param] = ()) -> str:
    """The statement with a literal in place of each `%s`. Raises ValueError where their numbers differ."""
    parts = statement.split("%s")
    if len(parts) != len(params) + 1:
        raise ValueError(f"{len(params)} values for {len(parts) - 1} places")
    literals = [literal(param) for param in params]
    return "".join(part + literal for part, literal in zip(parts, [*literals, ""], strict=True))


_HOW: tuple[tuple[str, UnreachableHow], ...] = (
    ("too many clients", "too_many"),
    ("remaining connection slots", "too_many"),
    ("too many connections", "too_many"),
    ("starting up", "starting"),
    ("shutting down", "starting"),
    ("not yet accepting", "starting"),
    ("not accepting connections", "starting"),
    ("in recovery mode", "starting"),
    ("authentication failed", "auth"),
    ("no password supplied", "auth"),
    ("no pg_hba.conf entry", "auth"),
    ("does not exist", "auth"),
    ("not permitted to log in", "auth"),
    ("connection refused", "refused"),
    ("timeout", "timeout"),
    ("timed out", "timeout"),
    ("no route to host", "no_route"),
    ("unreachable", "no_route"),
    ("resolve", "dns"),
    ("translate host name", "dns"),
    ("name or service not known", "dns"),
)


def how_of(said: str) -> UnreachableHow:
    """In one word why a connection came to nothing, from what libpq or the server said."""
    lower = said.lower()
    return next((how for words, how in _HOW if words in lower), "closed")


def parse_status(row: Row) -> DatabaseStatus:
    """From the one row of STATUS."""
    return DatabaseStatus(
        role="replica" if row["in_recovery"] else "primary",
        writable=not row["in_recovery"] and not row["read_only"],
        version=str(row["version"]).split()[0],
        uptime_seconds=_number(row, "uptime"),
        connections_used=int(_number(row, "connections_used")),
        connections_max=int(_number(row, "connections_max")),
        idle_in_transaction=int(_number(row, "idle")),
        oldest_idle=_session(row, "idle"),
        longest_query=_session(row, "query"),
        active=int(_number(row, "active")),
        blocked=int(_number(row, "blocked")),
    )


def _session(row: Mapping[str, Any], prefix: str) -> Session | None:
    if row[f"{prefix}_pid"] is None:
        return None
    return Session(
        id=int(row[f"{prefix}_pid"]),
        started=str(row[f"{prefix}_started"]),
        user=str(row[f"{prefix}_user"] or ""),
        seconds=max(0.0, _number(row, f"{prefix}_seconds")),
        what=str(row[f"{prefix}_what"] or ""),
    )


def _number(row: Mapping[str, Any], name: str) -> float:
    return float(row[name] or 0)
