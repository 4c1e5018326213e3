"""How the members of a database cluster follow each other: asked of this member and of its peers, engine by engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from graph.ports import Finding
from graph.records import Incident, Resource
from graph.resources import Engine
from tools.clients.databases.database import database_of
from tools.evidence.context import EvidenceContext, resource_of
from tools.evidence.mariadb_replication import look_at_mariadb
from tools.evidence.postgres_replication import look_at_postgres

Look = Callable[[EvidenceContext, Resource], Awaitable[Finding]]

LOOKS: Mapping[Engine, Look] = {
    "postgresql": look_at_postgres,
    "mariadb": look_at_mariadb,
    "mysql": look_at_mariadb,
}


class ReplicationSource:
    """Facts repl.*; which they are is told by the engine's own look. All engines: repl.receiving, repl.applying,
    repl.lag_seconds, repl.lag_bytes, repl.source, repl.error."""

    name = "replication"
    deadline_seconds = 15.0

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """What this member and its peers tell of their replication. Raises DatabaseError of this member."""
        resource = resource_of(incident)
        database = database_of(resource)
        look = LOOKS.get(database.engine)
        if look is None or not database.peers:
            why = "it has no peers" if look else f"replication of {database.engine} is not known here"
            return Finding("(nothing to follow)", why, status="no_data")
        return await look(self._context, resource)
