"""Stop and start a MariaDB or MySQL replica: for one whose connection hangs without saying so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graph.kind import ActionSpec, touches_cluster
from graph.ports import Probe
from graph.records import Resource
from tools.actions.on_database import unfit_primary
from tools.actions.on_mariadb import DEADLINE_SECONDS, OnMariaDbReplica, orders_of, shown
from tools.actions.on_provider import NoParams
from tools.clients.databases.database import declared_primary
from tools.clients.databases.mariadb_reading import PASSING_ERRORS, MariaDbReplication


class RestartReplication(OnMariaDbReplica[NoParams]):
    """What it has received stays; it connects anew and goes on where it was."""

    spec = ActionSpec(
        name="restart_replication",
        summary="stop and start the receiving and applying of a replica (MariaDB, MySQL)",
        risk="disruptive",
        params=NoParams,
        deadline_seconds=DEADLINE_SECONDS,
        touches=touches_cluster,
    )
    params = NoParams

    def statements(self, resource: Resource, params: NoParams) -> tuple[str, ...]:
        orders = orders_of(resource)
        return (orders.stop, orders.start)

    async def objection(self, resource: Resource, params: NoParams, seen: MariaDbReplication | None) -> str | None:
        if seen is None:
            return f"{resource.key} follows nobody: there is nothing to restart"
        if seen.applier_errno and seen.applier_errno not in PASSING_ERRORS:
            return f"the applier stopped on an error and would stop on it again: {seen.applier_error[:160]}"
        primary = declared_primary(resource, self.context.inventory)
        return await unfit_primary(self.context, primary) if primary is not None else None

    def effect(self, seen: MariaDbReplication, params: NoParams, baseline: Mapping[str, Any]) -> Probe:
        if seen.receiver == "no" or seen.applier == "no":
            return Probe("no_effect", f"stopped, or never begun: {shown(seen)}")
        anew = seen.receiver_id is not None and seen.receiver_id != baseline.get("receiver_id")
        return Probe("took_effect" if anew else "no_effect", shown(seen))
