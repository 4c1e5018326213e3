"""A database client in memory, shipped for tests and trials: servers are what a test says they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

from graph.records import Resource
from graph.resources import Engine
from tools.clients.databases.database import (
    STATEMENT_SECONDS,
    DatabaseStatus,
    DatabaseUnreachable,
    Param,
    ReplicationStatus,
    Row,
)


@dataclass
class MemoryDatabase:
    """Statuses and replications by resource id; a statement is answered by the first pattern found in it.

    A member without a status refuses connections, as a stopped server does. `ran` lists what was executed.
    """

    engine: Engine = "postgresql"
    statuses: MutableMapping[str, DatabaseStatus | Exception] = field(default_factory=dict)
    replications: MutableMapping[str, ReplicationStatus | Exception] = field(default_factory=dict)
    answers_to: Mapping[str, Sequence[Row] | Exception] = field(default_factory=dict)
    by_resource: Mapping[str, Mapping[str, Sequence[Row] | Exception]] = field(default_factory=dict)
    """By resource id; goes before `answers_to`."""
    ran: list[tuple[str, str]] = field(default_factory=list)
    """Resource id and statement, in order."""

    async def status(self, resource: Resource) -> DatabaseStatus:
        """See DatabaseClient.status."""
        found = self.statuses.get(resource.id)
        if found is None:
            raise DatabaseUnreachable(f"{resource.id}: connection refused", "refused")
        if isinstance(found, Exception):
            raise found
        return found

    async def replication(self, resource: Resource) -> ReplicationStatus | None:
        """See DatabaseClient.replication."""
        found = self.replications.get(resource.id)
        if isinstance(found, Exception):
            raise found
        return found

    async def execute(
        self, resource: Resource, statement: str, params: Sequence[Param] = (), timeout: float = STATEMENT_SECONDS
    ) -> tuple[Row, ...]:
        """See DatabaseClient.execute."""
        text = self.render(resource, statement, params)
        self.ran.append((resource.id, text))
        for pattern, answer in (*self.by_resource.get(resource.id, {}).items(), *self.answers_to.items()):
            if re.search(pattern, text, re.DOTALL):
                if isinstance(answer, Exception):
                    raise answer
                return tuple(answer)
        return ()

    def render(self, resource: Resource, statement: str, params: Sequence[Param] = ()) -> str:
        """Plain quoting, good enough for memory."""
        shown = tuple(repr(param) if isinstance(param, str) else str(param) for param in params)
        return statement % shown if shown else statement
