"""What a database is asked and told, whatever its engine: one protocol, and answers that say what is the case.

A client knows how to speak to a server; what its answers mean is for evidence, causes and actions to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from graph.ports import PermanentError
from graph.records import Resource
from graph.resources import Database, Engine, Role
from tools.clients.circuit import Circuits, NotAsked, Verdict

T = TypeVar("T")

UnreachableHow = Literal["timeout", "refused", "no_route", "auth", "closed", "dns", "starting", "too_many", "config"]
"""`starting`: it is up and takes nobody yet; `too_many`: every connection is taken; `config`: we can't even ask."""

_NOT_THERE: frozenset[UnreachableHow] = frozenset({"timeout", "refused", "no_route", "closed", "dns"})
"""Ways not to connect that say something of the server; the rest says that it is there."""

Value = str | int | float | bool | None
Row = Mapping[str, Value]
Param = str | int | float | bool | None

STATEMENT_SECONDS = 5.0
CONNECT_SECONDS = 3.0
APPLICATION = "selfheal"


class DatabaseError(Exception):
    """Asking a database came to nothing. `sent` tells whether it may have begun what it was told to do."""

    sent = False


class DatabaseUnreachable(DatabaseError):
    """The server could not be asked, or did not answer to the end. `how` is a stable word."""

    def __init__(self, message: str, how: UnreachableHow, sent: bool = False) -> None:
        super().__init__(message)
        self.how = how
        self.sent = sent


class StatementFailed(DatabaseError):
    """The server refused the statement, and so nothing came of it. `code` is its SQLSTATE or error number."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Session:
    """One session of a server. `id` and `started` together name it for ever: an id alone is used again."""

    id: int
    started: str
    """As the server writes it; it is compared, never parsed."""
    user: str
    seconds: float
    """How long it has been at what it is at."""
    what: str = ""
    """What it is at, short: never a whole statement, as that holds data."""


@dataclass(frozen=True)
class DatabaseStatus:
    """One member as it is now. `role` is what it really is, whatever was declared."""

    role: Role
    writable: bool
    version: str
    uptime_seconds: float
    connections_used: int
    connections_max: int
    idle_in_transaction: int = 0
    oldest_idle: Session | None = None
    """The session longest idle inside a transaction."""
    longest_query: Session | None = None
    """Of clients, running now."""
    active: int = 0
    """Sessions of clients that run a statement now."""
    blocked: int = 0
    """Sessions that wait for a lock of another."""

    @property
    def connections_percent(self) -> float:
        return 100.0 * self.connections_used / max(1, self.connections_max)


@dataclass(frozen=True)
class ReplicationStatus:
    """How a replica is fed, as it tells itself. What an engine tells besides is in a class of its own below this.

    `lag_seconds` is None where it is not known; `source` is `host:port` of whom it follows.
    """

    receiving: bool
    """Connected to its source and taking in its log."""
    applying: bool
    """Not paused, not stopped, not failed."""
    lag_seconds: float | None = None
    lag_bytes: int | None = None
    """Received and not yet applied."""
    source: str = ""
    last_error: str = ""


class DatabaseClient(Protocol):
    """Speaks to servers of one engine. Every statement is put on record before it is sent."""

    engine: Engine

    async def status(self, resource: Resource) -> DatabaseStatus:
        """Raises DatabaseError."""

    async def replication(self, resource: Resource) -> ReplicationStatus | None:
        """None for a member that follows nobody. Raises DatabaseError."""

    async def execute(
        self, resource: Resource, statement: str, params: Sequence[Param] = (), timeout: float = STATEMENT_SECONDS
    ) -> tuple[Row, ...]:
        """Run one statement that our own code has written, committed at once. Raises DatabaseError."""

    def render(self, resource: Resource, statement: str, params: Sequence[Param] = ()) -> str:
        """The statement exactly as `execute` sends it. No I/O."""


Databases = Mapping[Engine, DatabaseClient]


def database_of(resource: Resource) -> Database:
    """What the resource declares of its database. Raises PermanentError where it has none."""
    if resource.database is None:
        raise PermanentError(f"{resource.key} declares no database")
    return resource.database


def client_for(databases: Databases, resource: Resource) -> DatabaseClient:
    """The client of the resource's engine. Raises PermanentError."""
    engine = database_of(resource).engine
    if engine not in databases:
        raise PermanentError(f"{resource.key}: no client for {engine}; there are: {', '.join(databases) or 'none'}")
    return databases[engine]


def peers_of(resource: Resource, inventory: Mapping[str, Resource]) -> tuple[Resource, ...]:
    """The other members of its cluster that are declared, in the order of `peers`."""
    found = (inventory.get(key) for key in resource.peer_keys)
    return tuple(peer for peer in found if peer is not None and peer.database is not None)


def declared_primary(resource: Resource, inventory: Mapping[str, Resource]) -> Resource | None:
    """The peer that is declared to be the primary; None where there is none, or it is the resource itself."""
    return next((peer for peer in peers_of(resource, inventory) if database_of(peer).role == "primary"), None)


def database_place(resource: Resource, name: str = "") -> str:
    """Where statements go, as shown before them: `postgresql://selfheal@10.0.0.7:5432/postgres`."""
    database = database_of(resource)
    # Only a session of PostgreSQL belongs to one database.
    path = f"/{name or database.name}" if database.engine == "postgresql" else ""
    return f"{database.engine}://{database.user}@{resource.address}:{database.port}{path}"


async def connected(circuits: Circuits, resource: Resource, connect: Callable[[], Awaitable[T]]) -> T:
    """What `connect` gives, where the server may be asked. Raises DatabaseUnreachable."""
    server = f"{resource.address}:{database_of(resource).port}"
    try:
        return await circuits.ask("database", server, connect, _verdict)
    except NotAsked as error:
        how = error.last.how if isinstance(error.last, DatabaseUnreachable) else "timeout"
        raise DatabaseUnreachable(f"{database_place(resource)}: {error}", how) from error


def _verdict(error: Exception) -> Verdict:
    if not isinstance(error, DatabaseUnreachable) or error.how == "config":
        return "unknown"
    return "failed" if error.how in _NOT_THERE else "answered"


def read_password(password_file: str | None) -> str | None:
    """The secret in that file, read when it is needed. Raises DatabaseUnreachable (`config`), naming the file."""
    if password_file is None:
        return None
    try:
        return Path(password_file).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DatabaseUnreachable(f"cannot read password_file {password_file}: {error}", "config") from error
