"""Whether a member of a database cluster is well: it answers, is what it was declared to be, and follows closely where
it is to follow. Whether its primary is well is told beside it: a replica's repair must not make that worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graph.ports import PermanentError
from graph.records import Observation, Resource
from tools.clients.databases.database import (
    Databases,
    DatabaseStatus,
    DatabaseUnreachable,
    StatementFailed,
    client_for,
    database_of,
    declared_primary,
)

CROWDED_PERCENT = 90.0


async def database_observations(
    databases: Databases, inventory: Mapping[str, Resource], resource: Resource
) -> Sequence[Observation]:
    """`database answers`, for replicas `follows its primary`, and `primary ID` as a neighbour. Never raises."""
    if resource.database is None:
        return ()
    found = [await _answers(databases, resource)]
    if database_of(resource).role == "replica":
        found.append(await _follows(databases, resource))
        primary = declared_primary(resource, inventory)
        found += [await _neighbour(databases, primary)] if primary is not None else []
    return found


async def _answers(databases: Databases, resource: Resource) -> Observation:
    name = "database answers"
    try:
        status = await client_for(databases, resource).status(resource)
    except DatabaseUnreachable as error:
        return _seen(name, "unknown" if error.how in ("auth", "config") else "pending", str(error))
    except (StatementFailed, PermanentError) as error:
        return _seen(name, "unknown", str(error))
    words = f"{status.role}, {status.connections_used} of {status.connections_max} connections"
    if status.role != database_of(resource).role:
        return _seen(name, "fail", f"{words}; it is declared as {database_of(resource).role}")
    if status.connections_percent >= CROWDED_PERCENT:
        return _seen(name, "pending", words)
    return _seen(name, "pass" if _fit(status) else "pending", words if _fit(status) else f"{words}; it takes no writes")


async def _follows(databases: Databases, resource: Resource) -> Observation:
    name, most = "follows its primary", database_of(resource).max_lag_seconds
    try:
        fed = await client_for(databases, resource).replication(resource)
    except DatabaseUnreachable as error:
        return _seen(name, "unknown" if error.how in ("auth", "config") else "pending", str(error))
    except (StatementFailed, PermanentError) as error:
        return _seen(name, "unknown", str(error))
    if fed is None:
        return _seen(name, "pending", "it follows nobody")
    behind = "an unknown time" if fed.lag_seconds is None else f"{fed.lag_seconds:.0f} s"
    does = f"{'receives' if fed.receiving else 'does not receive'}, {'applies' if fed.applying else 'does not apply'}"
    words = f"{does}, {behind} behind, {most:g} s at most" + (f": {fed.last_error}" if fed.last_error else "")
    near = fed.lag_seconds is not None and fed.lag_seconds <= most
    return _seen(name, "pass" if fed.receiving and fed.applying and near else "pending", words)


async def _neighbour(databases: Databases, primary: Resource) -> Observation:
    name = f"primary {primary.id}"
    try:
        status = await client_for(databases, primary).status(primary)
    except (DatabaseUnreachable, StatementFailed, PermanentError) as error:
        return _seen(name, "pending", str(error), neighbour=True)
    fit = status.role == "primary" and status.writable
    return _seen(name, "pass" if fit else "pending", f"it is {status.role}{'' if fit else ' or takes no writes'}", True)


def _fit(status: DatabaseStatus) -> bool:
    return status.writable or status.role == "replica"


def _seen(name: str, status: str, observed: str, neighbour: bool = False) -> Observation:
    return Observation.model_validate(
        {"criterion": name, "status": status, "observed": observed, "neighbour": neighbour}
    )
