"""Start what somebody has stopped: the threads of a MariaDB or MySQL replica that receive and apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import Probe
from graph.records import Resource
from tools.actions.action import Params
from tools.actions.on_database import unfit_primary
from tools.actions.on_mariadb import DEADLINE_SECONDS, OnMariaDbReplica, orders_of, shown
from tools.clients.databases.database import declared_primary
from tools.clients.databases.mariadb_reading import PASSING_ERRORS, MariaDbReplication


class StartReplicationParams(Params):
    """Which of the two: `both` starts what is stopped of them."""

    thread: Literal["both", "receiver", "applier"] = Field("both", description="what to start")


class StartReplication(OnMariaDbReplica[StartReplicationParams]):
    """Starting what runs does nothing. What stopped on an error would stop again: that is refused, never skipped."""

    spec = ActionSpec(
        name="start_replication",
        summary="start the receiving and applying of a replica that was stopped (MariaDB, MySQL)",
        risk="low",
        params=StartReplicationParams,
        deadline_seconds=DEADLINE_SECONDS,
        touches=touches_cluster,
    )
    params = StartReplicationParams

    def statements(self, resource: Resource, params: StartReplicationParams) -> tuple[str, ...]:
        orders = orders_of(resource)
        by_thread = {"both": orders.start, "receiver": orders.start_receiver, "applier": orders.start_applier}
        return (by_thread[params.thread],)

    async def objection(
        self, resource: Resource, params: StartReplicationParams, seen: MariaDbReplication | None
    ) -> str | None:
        if seen is None:
            return f"{resource.key} follows nobody: there is nothing to start"
        if _running(seen, params):
            return f"it runs: {shown(seen)}"
        if seen.applier_errno and seen.applier_errno not in PASSING_ERRORS and params.thread != "receiver":
            return f"the applier stopped on an error and would stop on it again: {seen.applier_error[:160]}"
        primary = declared_primary(resource, self.context.inventory)
        if primary is not None and params.thread != "applier":
            return await unfit_primary(self.context, primary)
        return None

    def effect(self, seen: MariaDbReplication, params: StartReplicationParams, baseline: Mapping[str, Any]) -> Probe:
        return Probe("took_effect" if _running(seen, params) else "no_effect", shown(seen))


def _running(seen: MariaDbReplication, params: StartReplicationParams) -> bool:
    receiver = seen.receiver != "no" or params.thread == "applier"
    applier = seen.applier == "yes" or params.thread == "receiver"
    return receiver and applier
