"""Database servers behind one port, a client for each engine. A new engine is one file here and one line in CLIENTS."""

from __future__ import annotations

from collections.abc import Callable

from graph.resources import Engine
from tools.clients.circuit import Circuits
from tools.clients.databases.database import (
    DatabaseClient,
    DatabaseError,
    Databases,
    DatabaseStatus,
    DatabaseUnreachable,
    ReplicationStatus,
    StatementFailed,
    client_for,
)
from tools.clients.databases.mariadb import MariaDbClient
from tools.clients.databases.postgresql import PostgresClient
from tools.clients.recording import Recorder

CLIENTS: tuple[tuple[Engine, Callable[[Recorder, Circuits], DatabaseClient]], ...] = (
    ("postgresql", lambda recorder, circuits: PostgresClient(recorder, circuits)),
    ("mariadb", lambda recorder, circuits: MariaDbClient(recorder, circuits=circuits)),
    ("mysql", lambda recorder, circuits: MariaDbClient(recorder, "mysql", circuits)),
)


def make_databases(recorder: Recorder | None = None, circuits: Circuits | None = None) -> Databases:
    """One client per engine; connects to nothing yet."""
    shared = circuits or Circuits()
    return {engine: factory(recorder or Recorder(), shared) for engine, factory in CLIENTS}


__all__ = (
    "CLIENTS",
    "DatabaseClient",
    "DatabaseError",
    "DatabaseStatus",
    "DatabaseUnreachable",
    "Databases",
    "MariaDbClient",
    "PostgresClient",
    "ReplicationStatus",
    "StatementFailed",
    "client_for",
    "make_databases",
)
