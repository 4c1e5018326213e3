"""Make a PostgreSQL replica the primary, in the place of one that is lost and fenced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import Probe
from graph.records import Resource
from tools.actions.action import NotAllowed, Params
from tools.actions.fencing import unfenced
from tools.actions.on_database import client_of
from tools.actions.on_postgres import OnPostgres, seen_of
from tools.clients.databases.database import DatabaseError, database_of, peers_of
from tools.clients.databases.last_position import last_written, unsafe_to_promote
from tools.clients.databases.postgresql_replication import lsn_bytes, newest_lsn

_PROMOTE_SECONDS = 20


class PromoteParams(Params):
    """Who becomes primary."""

    replica: str = Field(min_length=1, max_length=200, description="id of a declared replica of the same cluster")


class PromotePostgres(OnPostgres[PromoteParams]):
    """Planned for the lost primary, done on its replica. What the primary wrote after it was last seen may be lost;
    what
    it is known to have written and the replica lacks is bounded by `max_promote_lag_bytes`: 0 unless declared."""

    spec = ActionSpec(
        name="promote_postgres_replica",
        summary="make a replica take writes in the place of a lost, fenced primary (PostgreSQL)",
        risk="destructive",
        params=PromoteParams,
        deadline_seconds=60.0,
        touches=touches_cluster,
        judged_by="traffic",
    )
    params = PromoteParams

    def admit(self, resource: Resource, params: PromoteParams) -> PromoteParams:
        """The lost one is declared as primary, the other as its replica."""
        super().admit(resource, params)
        if database_of(resource).role != "primary":
            raise NotAllowed("action", f"{resource.key} is not declared as a primary: nobody takes its place")
        if database_of(self.target(resource, params)).role != "replica":
            raise NotAllowed("replica", f"{params.replica} is not declared as a replica")
        return params

    def target(self, resource: Resource, params: PromoteParams) -> Resource:
        peers = peers_of(resource, self.context.inventory)
        found = next((peer for peer in peers if peer.id == params.replica), None)
        if found is None:
            known = ", ".join(peer.id for peer in peers) or "none"
            raise NotAllowed("replica", f"{params.replica!r} is no declared peer of {resource.key} (declared: {known})")
        return found

    def statements(self, resource: Resource, params: PromoteParams) -> tuple[str, ...]:
        return (f"select pg_promote(true, {_PROMOTE_SECONDS // 2}) as promoted",)

    async def objection(self, resource: Resource, params: PromoteParams) -> str | None:
        """The old primary is fenced, no other member is a primary, and this replica lacks no more than it may."""
        if doubt := await unfenced(self.context, resource):
            return doubt
        replica = self.target(resource, params)
        seen = await seen_of(self.context, replica)
        if seen is None:
            return f"{replica.key} is a primary already: nothing to promote"
        if seen.receiving:
            return f"{replica.id} is still fed by somebody: its primary is not lost"
        if unsafe := unsafe_to_promote(seen, replica, *await last_written(self.context.prometheus, resource)):
            return f"{replica.id} must not be promoted: {unsafe}"
        return await self._another(resource, replica, lsn_bytes(newest_lsn(seen)))

    async def effect(self, resource: Resource, params: PromoteParams, baseline: Mapping[str, Any]) -> Probe:
        status = await client_of(self.context, self.target(resource, params)).status(self.target(resource, params))
        if status.role == "primary" and status.writable:
            return Probe("took_effect", f"{params.replica} takes writes")
        return Probe("no_effect", f"{params.replica} is a {status.role}")

    async def baseline(self, resource: Resource, params: PromoteParams) -> dict[str, Any]:
        """How far the replica was."""
        try:
            seen = await seen_of(self.context, self.target(resource, params))
        except DatabaseError as error:
            return {"unknown": str(error)[:200]}
        return {"at": newest_lsn(seen) if seen else "", "follows": seen is not None}

    async def _another(self, resource: Resource, replica: Resource, has: int) -> str | None:
        """Why another member would be the better one, or is a primary already; one that is silent can't be compared."""
        for other in peers_of(resource, self.context.inventory):
            if other.id == replica.id:
                continue
            try:
                seen = await seen_of(self.context, other)
            except DatabaseError as error:
                return f"{other.key} can't be asked how far it is: {str(error)[:120]}"
            if seen is None:
                return f"{other.key} is a primary already: there must not be two"
            if lsn_bytes(newest_lsn(seen)) > has:
                return f"{other.id} has received more: {replica.id} is behind it"
        return None
