"""Have a MariaDB or MySQL replica follow its declared source again, by the settings that are declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import Probe
from graph.records import PlanStep, Resource
from tools.actions.action import NotAllowed, Params
from tools.actions.on_database import client_of, unfit_primary
from tools.actions.on_mariadb import DEADLINE_SECONDS, OnMariaDbReplica, orders_of, shown
from tools.clients.databases.database import database_of, peers_of, read_password
from tools.clients.databases.mariadb_dialect import APPLIED
from tools.clients.databases.mariadb_reading import MariaDbReplication


class RepointParams(Params):
    """Whom to follow, and whom it followed: both declared members of its cluster."""

    source: str = Field(min_length=1, max_length=200, description="id of the declared primary")
    was: str = Field("", max_length=200, description="id of the member it followed before, where it was another one")


class RepointReplica(OnMariaDbReplica[RepointParams]):
    """Host, port, user and password all come from what is declared: a param can only choose among declared members.

    Undone only where it followed another declared member before: nothing is ever pointed at a host nobody declared,
    and the old password is nowhere to be read.
    """

    spec = ActionSpec(
        name="repoint_replica",
        summary="have a replica follow its declared primary by the declared settings (MariaDB, MySQL)",
        risk="disruptive",
        params=RepointParams,
        deadline_seconds=DEADLINE_SECONDS,
        touches=touches_cluster,
        undone_by="repoint_replica, where it followed another declared member",
    )
    params = RepointParams

    def admit(self, resource: Resource, params: RepointParams) -> RepointParams:
        """Both must be declared peers of the same cluster; `source` the one declared as primary, or the one before."""
        super().admit(resource, params)
        self._member(resource, params.source, "source")
        if params.was:
            self._member(resource, params.was, "was")
        return params

    def statements(self, resource: Resource, params: RepointParams) -> tuple[str, ...]:
        orders, source = orders_of(resource), self._member(resource, params.source, "source")
        where = (source.address, database_of(source).port, database_of(resource).replication.user)
        change = client_of(self.context, resource).render(resource, orders.change_source, where)
        return (orders.stop, change, orders.start)

    async def objection(self, resource: Resource, params: RepointParams, seen: MariaDbReplication | None) -> str | None:
        source = self._member(resource, params.source, "source")
        if unfit := await unfit_primary(self.context, source):
            return unfit
        # a file that can't be read is told before anything is stopped
        if read_password(database_of(resource).replication.password_file) is None:
            return f"{resource.key} declares no database.replication.password_file: it could not log in to its source"
        if seen is not None and seen.receiving and seen.source_host == source.address:
            return f"it follows {source.id} already: {shown(seen)}"
        if database_of(resource).engine == "mariadb":
            (row,) = await client_of(self.context, resource).execute(resource, APPLIED)
            if not row["applied"]:
                return "it has no GTID position: where to go on would be guessed"
        return None

    def effect(self, seen: MariaDbReplication, params: RepointParams, baseline: Mapping[str, Any]) -> Probe:
        if seen.receiving and seen.applying:
            return Probe("took_effect", f"{shown(seen)}, follows {seen.source}")
        return Probe("no_effect", f"{shown(seen)}, follows {seen.source}: setting it again does no harm")

    def undo(self, resource: Resource, params: RepointParams) -> PlanStep | None:
        """Back to the declared member it followed."""
        if not params.was or params.was == params.source:
            return None
        return PlanStep(
            action=self.spec.name,
            params={"source": params.was},
            why=f"following {params.source} did not help",
            expect=f"it follows {params.was} as before",
        )

    def _member(self, resource: Resource, name: str, field_name: str) -> Resource:
        peers = peers_of(resource, self.context.inventory)
        found = next((peer for peer in peers if peer.id == name), None)
        if found is None:
            known = ", ".join(peer.id for peer in peers) or "none"
            raise NotAllowed(field_name, f"{name!r} is no declared peer of {resource.key} (declared: {known})")
        return found
