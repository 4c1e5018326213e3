"""What repairs of a MariaDB or MySQL replica have in common: a few statements, in order, over its own port.

A statement can't be claimed on the server as a command can on a host. So each of these may be run again without harm,
and its probe asks the replica whether it still needs to be.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, P
from tools.actions.on_database import client_of, no_replica, of_engine
from tools.clients.databases.database import DatabaseError, database_of, database_place
from tools.clients.databases.mariadb_dialect import ORDERS, Orders, too_old
from tools.clients.databases.mariadb_reading import MariaDbReplication

DEADLINE_SECONDS = 60.0
STATEMENT_SECONDS = 15.0
"""STOP REPLICA waits for what is being applied just now."""


class OnMariaDbReplica(Action[P]):
    """Statements to one replica."""

    @abstractmethod
    def statements(self, resource: Resource, params: P) -> tuple[str, ...]:
        """What it is told, in order, as it is shown and recorded."""

    @abstractmethod
    async def objection(self, resource: Resource, params: P, seen: MariaDbReplication | None) -> str | None:
        """Why it makes no sense or does harm to a replica that is fed like this, or None."""

    @abstractmethod
    def effect(self, seen: MariaDbReplication, params: P, baseline: Mapping[str, Any]) -> Probe:
        """What the replica shows of a run that may have been cut short."""

    def admit(self, resource: Resource, params: P) -> P:
        """For MariaDB and MySQL only."""
        of_engine(resource, "mariadb", "mysql")
        return params

    def render(self, resource: Resource, params: P) -> str:
        """`mariadb://selfheal@10.0.0.7:3306> STOP REPLICA; START REPLICA`. A password is shown as `[redacted]`; all
        else is what is sent, word by word."""
        return f"{told_at(resource)}> {'; '.join(self.statements(resource, params))}"

    async def precondition(self, resource: Resource, params: P) -> str | None:
        """It is a replica, it understands us, and its state calls for this."""
        if refused := await no_replica(self.context, resource):
            return refused
        client = client_of(self.context, resource)
        status = await client.status(resource)
        if old := too_old(client.engine, status.version):
            return old
        return await self.objection(resource, params, await self.seen(resource))

    async def baseline(self, resource: Resource, params: P) -> dict[str, Any]:
        """Its threads and whom it follows."""
        try:
            seen = await self.seen(resource)
        except DatabaseError as error:
            return {"unknown": str(error)[:200]}
        if seen is None:
            return {"follows": False}
        return {"receiver": seen.receiver, "applier": seen.applier, "receiver_id": seen.receiver_id}

    async def run(self, resource: Resource, params: P, key: str, first_started_at: datetime) -> ActionOutput:
        """One statement after the other; the first that fails is the last."""
        return await run_in_order(self, resource, self.statements(resource, params))

    async def probe(self, resource: Resource, params: P, key: str, baseline: Mapping[str, Any]) -> Probe:
        """What the replica says now. Raises DatabaseError: then nobody knows."""
        seen = await self.seen(resource)
        if seen is None:
            return Probe("no_effect", f"{resource.key} follows nobody")
        return self.effect(seen, params, baseline)

    async def seen(self, resource: Resource) -> MariaDbReplication | None:
        """How it is fed now. Raises DatabaseError."""
        return cast(MariaDbReplication | None, await client_of(self.context, resource).replication(resource))


async def run_in_order(action: Action[Any], resource: Resource, statements: tuple[str, ...]) -> ActionOutput:
    """Run them one after the other on that server. Raises DatabaseError for the first, and for any that may have
    begun without our knowing its end."""
    client = client_of(action.context, resource)
    for done, statement in enumerate(statements):
        try:
            await client.execute(resource, statement, timeout=STATEMENT_SECONDS)
        except DatabaseError as error:
            if error.sent or not done:
                raise
            return ActionOutput("failed", f"done: {'; '.join(statements[:done])}; then {statement!r} failed: {error}")
    return ActionOutput("succeeded", f"done: {'; '.join(statements)}")


def orders_of(resource: Resource) -> Orders:
    """What its engine understands."""
    return ORDERS[database_of(resource).engine]


def told_at(resource: Resource) -> str:
    """Where its statements go, as shown before them."""
    return database_place(resource)


def shown(seen: MariaDbReplication) -> str:
    """Its threads in words."""
    error = f" ({seen.last_error[:120]})" if seen.last_error else ""
    return f"receiver {seen.receiver}, applier {seen.applier}{error}"
