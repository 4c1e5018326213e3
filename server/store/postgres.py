"""What is PostgreSQL's alone: how its connections are set up, and how its writers take turns.

All writers of all processes take one advisory lock for the length of a transaction, as SQLite's take its write lock.
So what a transaction has read still holds when it writes, on both databases, by the same code. A writer that is stopped
in the middle is thrown out by the server, or nobody could ever take over from it.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, String, create_engine, event, text
from sqlalchemy.ext.compiler import compiles

from server.clock_watch import elapsed

WRITERS_LOCK = 0x5E1F_4EA1
PREPARING_LOCK = 0x5E1F_4EA2
READERS = 4
CONNECT_SECONDS = 5
STOPPED_WRITER_SECONDS = 5
LOCK_WAIT_SECONDS = 10
STATEMENT_SECONDS = 30
DEAD_PEER_MILLISECONDS = 10_000


def is_postgres(url: str) -> bool:
    return url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://"))


def plain_url(url: str) -> str:
    """As libpq reads it, without the name of SQLAlchemy's driver."""
    return "postgresql://" + url.split("://", 1)[1]


def postgres_engine(url: str) -> Engine:
    """Pooled connections that notice a restarted or vanished server. Connects at the first use."""
    options = {
        "idle_in_transaction_session_timeout": f"{STOPPED_WRITER_SECONDS}s",
        "lock_timeout": f"{LOCK_WAIT_SECONDS}s",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "synchronous_commit": "on",  # what is answered with 202 must survive, whatever the server's default is
        "TimeZone": "UTC",
    }
    engine = create_engine(
        "postgresql+psycopg://" + url.split("://", 1)[1],
        pool_size=READERS + 2,
        max_overflow=4,
        pool_pre_ping=True,
        pool_timeout=CONNECT_SECONDS,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "selfheal",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": DEAD_PEER_MILLISECONDS,
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        },
    )
    event.listen(engine, "before_cursor_execute", _without_nul, retval=True)
    return engine


def take_turn(connection: Connection, lock: int = WRITERS_LOCK) -> None:
    """Wait until no other transaction writes; it is let go with the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


class ServersClock:
    """The database server's time, by this machine's clock and how far that is off: leases are compared across machines.

    Looked up with every heartbeat, so that neither a wrong clock nor one that jumps makes a lease longer than it is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._base: tuple[float, float] | None = None
        """The server's time, and how long this machine was up then."""

    def look(self, connection: Connection) -> None:
        before = elapsed()
        seconds = connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
        with self._lock:
            self._base = (float(seconds), (before + elapsed()) / 2)

    def now(self) -> datetime:
        with self._lock:
            base = self._base
        if base is None:
            return datetime.now(UTC)
        return datetime.fromtimestamp(base[0], UTC) + timedelta(seconds=elapsed() - base[1])


@compiles(String, "postgresql")
def _without_length(element: String, compiler: Any, **kw: Any) -> str:
    """As SQLite does, which never enforces a length: a text longer than expected must not stop a heal."""
    return "TEXT"


def _without_nul(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> tuple[str, Any]:
    """PostgreSQL's texts can't hold a NUL, which output of commands may."""
    if executemany:
        return statement, [_cleaned(row) for row in parameters]
    return statement, _cleaned(parameters)


def _cleaned(parameters: Any) -> Any:
    values = parameters.values() if isinstance(parameters, dict) else parameters or ()
    if not any(isinstance(value, str) and "\0" in value for value in values):
        return parameters
    if isinstance(parameters, dict):
        return {name: _printable(value) for name, value in parameters.items()}
    return tuple(map(_printable, parameters))


def _printable(value: Any) -> Any:
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
