"""Make a MariaDB or MySQL replica the primary, in the place of one that is lost and fenced."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, NotAllowed, Params
from tools.actions.fencing import unfenced
from tools.actions.on_database import client_of, of_engine
from tools.actions.on_mariadb import DEADLINE_SECONDS, orders_of, run_in_order, shown, told_at
from tools.clients.databases.database import DatabaseError, database_of, peers_of
from tools.clients.databases.mariadb_reading import MariaDbReplication, missing, unsafe_to_promote


class PromoteParams(Params):
    """Who becomes primary."""

    replica: str = Field(min_length=1, max_length=200, description="id of a declared replica of the same cluster")


class PromoteMariaDb(Action[PromoteParams]):
    """Planned for the lost primary, done on its replica. What the primary had written and not sent is lost: so the
    replica must have applied all that it received, and no other may have received more."""

    spec = ActionSpec(
        name="promote_mariadb_replica",
        summary="make a replica take writes in the place of a lost, fenced primary (MariaDB, MySQL)",
        risk="destructive",
        params=PromoteParams,
        deadline_seconds=DEADLINE_SECONDS,
        touches=touches_cluster,
        judged_by="traffic",
    )
    params = PromoteParams

    def admit(self, resource: Resource, params: PromoteParams) -> PromoteParams:
        """The lost one is declared as primary, the other as its replica."""
        of_engine(resource, "mariadb", "mysql")
        if database_of(resource).role != "primary":
            raise NotAllowed("action", f"{resource.key} is not declared as a primary: nobody takes its place")
        replica = self._replica(resource, params)
        if database_of(replica).role != "replica":
            raise NotAllowed("replica", f"{replica.id} is not declared as a replica")
        return params

    def render(self, resource: Resource, params: PromoteParams) -> str:
        replica = self._replica(resource, params)
        return f"{told_at(replica)}> {'; '.join(_statements(replica))}"

    async def precondition(self, resource: Resource, params: PromoteParams) -> str | None:
        """The old primary is fenced, and this replica is the best there is."""
        if doubt := await unfenced(self.context, resource):
            return doubt
        replica = self._replica(resource, params)
        seen = await self._seen(replica)
        if seen is None:
            return f"{replica.key} follows nobody: it is no replica now"
        most = database_of(replica).max_promote_lag_bytes
        if unsafe := unsafe_to_promote(seen, most):
            return f"{replica.id} must not be promoted: {unsafe}"
        return await self._behind_another(resource, replica, seen)

    async def baseline(self, resource: Resource, params: PromoteParams) -> dict[str, Any]:
        """How far the replica was."""
        try:
            seen = await self._seen(self._replica(resource, params))
        except DatabaseError as error:
            return {"unknown": str(error)[:200]}
        return {"applied": seen.applied_gtid if seen else "", "follows": seen is not None}

    async def run(
        self, resource: Resource, params: PromoteParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """Stop following, forget whom, take writes."""
        replica = self._replica(resource, params)
        done = await run_in_order(self, replica, _statements(replica))
        if done.status != "succeeded":
            return done
        return ActionOutput(
            "succeeded", f"{done.output}; set read_only = 0 in its configuration too, or a restart ends it"
        )

    async def probe(self, resource: Resource, params: PromoteParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Whether it takes writes and follows nobody."""
        replica = self._replica(resource, params)
        status, seen = await client_of(self.context, replica).status(replica), await self._seen(replica)
        if status.writable and seen is None:
            return Probe("took_effect", f"{replica.id} takes writes and follows nobody")
        if seen is None:
            return Probe("unknown", f"{replica.id} follows nobody and takes no writes: it was cut short in the middle")
        return Probe("no_effect", f"{replica.id} is a replica: {shown(seen)}")

    async def _behind_another(self, resource: Resource, replica: Resource, seen: MariaDbReplication) -> str | None:
        """Why another replica would be the better one; one that does not answer can't be compared."""
        for other in peers_of(resource, self.context.inventory):
            if other.id == replica.id or database_of(other).role != "replica":
                continue
            try:
                fed = await self._seen(other)
            except DatabaseError as error:
                return f"{other.key} can't be asked how much it has received: {str(error)[:120]}"
            lacks = missing(seen.received_gtid, fed.received_gtid) if fed else 0
            if lacks != 0:
                return (
                    f"{other.id} has received {'more' if lacks else 'what can not be compared'}: {replica.id} is behind"
                )
        return None

    async def _seen(self, replica: Resource) -> MariaDbReplication | None:
        return cast(MariaDbReplication | None, await client_of(self.context, replica).replication(replica))

    def _replica(self, resource: Resource, params: PromoteParams) -> Resource:
        peers = peers_of(resource, self.context.inventory)
        found = next((peer for peer in peers if peer.id == params.replica), None)
        if found is None:
            known = ", ".join(peer.id for peer in peers) or "none"
            raise NotAllowed("replica", f"{params.replica!r} is no declared peer of {resource.key} (declared: {known})")
        return found


def _statements(replica: Resource) -> tuple[str, ...]:
    orders = orders_of(replica)
    return (orders.stop, orders.forget_source, orders.writable)
