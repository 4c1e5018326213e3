"""What all repairs of databases must ask first, whatever the engine: what a member really is, and whether the one it
would be fed by is well. Judged on what is read now, never on what was declared.
"""

from __future__ import annotations

from graph.records import Resource
from graph.resources import Engine
from tools.actions.action import ActionContext, NotAllowed
from tools.clients.databases.database import (
    DatabaseClient,
    DatabaseUnreachable,
    client_for,
    database_of,
    declared_primary,
)


def of_engine(resource: Resource, *engines: Engine) -> None:
    """Raises NotAllowed for what is no database of one of these engines."""
    if resource.database is None:
        raise NotAllowed("action", f"{resource.key} declares no database")
    if resource.database.engine not in engines:
        allowed = " or ".join(engines)
        raise NotAllowed("action", f"{resource.key} is {resource.database.engine}; this is for {allowed}")


def client_of(context: ActionContext, resource: Resource) -> DatabaseClient:
    """The client of its engine. Raises PermanentError."""
    return client_for(context.databases, resource)


def primary_of(context: ActionContext, resource: Resource) -> Resource:
    """The declared primary of its cluster. Raises NotAllowed where there is none among its peers."""
    primary = declared_primary(resource, context.inventory)
    if primary is None:
        peers = ", ".join(database_of(resource).peers) or "none"
        raise NotAllowed("action", f"no peer of {resource.key} is declared as primary (peers: {peers})")
    return primary


async def no_replica(context: ActionContext, resource: Resource) -> str | None:
    """Why a replica's repair must not touch it: it is, or may be, a primary. None where it is a replica.

    A member that does not answer is judged by its declaration.
    """
    declared = database_of(resource).role
    try:
        status = await client_of(context, resource).status(resource)
    except DatabaseUnreachable as error:
        if declared == "replica":
            return None
        return f"{resource.key} is declared as primary and does not say what it is ({error.how})"
    if status.role != "replica":
        return f"{resource.key} is a primary now: a replica's repair never touches a primary"
    return None


async def unfit_primary(context: ActionContext, primary: Resource) -> str | None:
    """Why no replica must be fed from it now, or None."""
    try:
        status = await client_of(context, primary).status(primary)
    except DatabaseUnreachable as error:
        return f"the primary {primary.key} takes no connection ({error.how}): nothing is fed from it"
    if status.role != "primary" or not status.writable:
        return f"{primary.key} is {status.role}{'' if status.writable else ', read-only'}: nothing is fed from it"
    return None
