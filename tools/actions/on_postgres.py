"""What repairs of PostgreSQL by SQL have in common: statements to one member, in order, each harmless to run again.

Where Patroni manages the cluster nothing is done behind its back: it would undo it, or promote somebody meanwhile.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graph.ports import ActionOutput, PermanentError, Probe
from graph.records import Resource
from tools.actions.action import Action, ActionContext, NotAllowed, P, place
from tools.actions.on_database import client_of, no_replica, of_engine
from tools.clients.databases.database import (
    DatabaseError,
    DatabaseUnreachable,
    StatementFailed,
    database_of,
    database_place,
)
from tools.clients.databases.postgresql import PostgresClient
from tools.clients.databases.postgresql_replication import PostgresReplication, Standby
from tools.clients.host import HostUnreachable

DEADLINE_SECONDS = 30.0
PATRONI_LINE = "pgrep -f '(^|/)[p]atroni( |$)'"


def postgres_of(context: ActionContext, resource: Resource) -> PostgresClient:
    """The client, which can be asked more than those of other engines. Raises PermanentError."""
    client = client_of(context, resource)
    if not isinstance(client, PostgresClient):
        raise PermanentError(f"{resource.key} is asked as PostgreSQL by {type(client).__name__}")
    return client


def not_patronis(resource: Resource) -> None:
    """Raises NotAllowed where Patroni manages the member."""
    if database_of(resource).patroni_url:
        raise NotAllowed("action", f"Patroni manages {resource.key}: nothing is done behind its back")


async def behind_patroni(context: ActionContext, resource: Resource) -> str | None:
    """Why it must be left to Patroni, which runs on its host though nobody declared it; None where none is seen."""
    if resource.transport == "none":
        return None
    try:
        found = await context.hosts.run(resource, PATRONI_LINE, 6.0)
    except HostUnreachable:  # what has no host that answers is judged by the rest
        return None
    if not found.ok:
        return None
    return f"Patroni runs on {place(resource)}: declare database.patroni_url; nothing is done behind its back"


async def seen_of(context: ActionContext, resource: Resource) -> PostgresReplication | None:
    """How it is fed now. Raises DatabaseError."""
    return await postgres_of(context, resource).replication(resource)


async def standby_of(context: ActionContext, primary: Resource, replica: Resource) -> Standby:
    """What the primary knows of the replica now. Raises DatabaseError."""
    return await postgres_of(context, primary).standby(primary, replica)


class OnPostgres(Action[P]):
    """Statements to one member: `target` is the resource itself or its primary."""

    @abstractmethod
    def statements(self, resource: Resource, params: P) -> tuple[str, ...]:
        """What is sent, in order, word by word."""

    @abstractmethod
    async def objection(self, resource: Resource, params: P) -> str | None:
        """Why it must not be done, on what is read now. May raise DatabaseError."""

    @abstractmethod
    async def effect(self, resource: Resource, params: P, baseline: Mapping[str, Any]) -> Probe:
        """What the world shows of a run that may have been cut short. May raise DatabaseError."""

    def target(self, resource: Resource, params: P) -> Resource:
        """Who is told."""
        return resource

    def admit(self, resource: Resource, params: P) -> P:
        """For PostgreSQL that nobody else manages."""
        of_engine(resource, "postgresql")
        not_patronis(resource)
        return params

    def render(self, resource: Resource, params: P) -> str:
        """`postgresql://selfheal@10.0.0.7:5432/postgres> select …; select …`."""
        target = self.target(resource, params)
        return f"{database_place(target)}> {'; '.join(self.statements(resource, params))}"

    async def precondition(self, resource: Resource, params: P) -> str | None:
        """Nobody else manages it, and it makes sense and does no harm."""
        if managed := await behind_patroni(self.context, self.target(resource, params)):
            return managed
        return await self.objection(resource, params)

    async def baseline(self, resource: Resource, params: P) -> dict[str, Any]:
        """How the member is fed."""
        try:
            seen = await seen_of(self.context, resource)
        except DatabaseError as error:
            return {"unknown": str(error)[:200]}
        if seen is None:
            return {"follows": False}
        return {"paused": seen.paused, "receiver": seen.receiver_pid, "started": seen.receiver_started}

    async def run(self, resource: Resource, params: P, key: str, first_started_at: datetime) -> ActionOutput:
        """One after the other; the first that fails is the last."""
        return await told(self.context, self.target(resource, params), self.statements(resource, params))

    async def probe(self, resource: Resource, params: P, key: str, baseline: Mapping[str, Any]) -> Probe:
        return await self.effect(resource, params, baseline)


async def told(
    context: ActionContext, target: Resource, statements: tuple[str, ...], timeout: float = 10.0
) -> ActionOutput:
    """Run them in order on that member. Raises DatabaseUnreachable for one that may have begun."""
    said: list[str] = []
    for number, statement in enumerate(statements):
        try:
            rows = await postgres_of(context, target).execute(target, statement, timeout=timeout)
        except StatementFailed as error:
            return ActionOutput("failed", f"statement {number + 1} of {len(statements)} was refused: {error}")
        except DatabaseUnreachable as error:
            if number and not error.sent:
                return ActionOutput("unknown", f"only {number} of {len(statements)} statements were sent: {error}")
            raise
        said += [f"{name} {value}" for row in rows[:3] for name, value in row.items() if value not in (None, "")]
    return ActionOutput("succeeded", "; ".join(said)[:400] or "done")


async def replica_only(context: ActionContext, resource: Resource) -> str | None:
    """Why this must not be done to it: it is no replica, or does not say what it is. None where it is one."""
    if refused := await no_replica(context, resource):
        return refused
    if await seen_of(context, resource) is None:
        return f"{resource.key} is a primary now: a replica's repair never touches a primary"
    return None
