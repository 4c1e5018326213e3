"""Set a PostgreSQL replica to follow its declared primary again, by its declared slot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.on_database import primary_of, unfit_primary
from tools.actions.on_postgres import DEADLINE_SECONDS, OnPostgres, postgres_of, replica_only, seen_of, standby_of, told
from tools.actions.on_provider import NoParams
from tools.clients.databases.database import database_of, database_place, read_password
from tools.clients.databases.postgres_text import conninfo, conninfo_parts, literal
from tools.clients.databases.postgresql_replication import PostgresReplication

_OLDEST_THAT_RELOADS = 13


class ReloadReplication(OnPostgres[NoParams]):
    """Host, port, user and name are set; whatever else stands in the connection string, its password included, stays.
    Only where it holds no login at all, the declared replication password is set too."""

    spec = ActionSpec(
        name="reload_replication",
        summary="set a replica to follow its declared primary by its declared slot, and reload (PostgreSQL)",
        risk="disruptive",
        params=NoParams,
        deadline_seconds=DEADLINE_SECONDS,
        touches=touches_cluster,
    )
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """A replica with a declared primary."""
        super().admit(resource, params)
        primary_of(self.context, resource)
        return params

    def statements(self, resource: Resource, params: NoParams) -> tuple[str, ...]:
        """As shown; what else stands in the connection string is put in its place when it runs."""
        return self._with(resource, f"… {conninfo(**self._wanted(resource))}")

    def render(self, resource: Resource, params: NoParams) -> str:
        shown = "; ".join(self.statements(resource, params))
        return f"{database_place(resource)}> {shown} (…: its other parts, login included, stay as they are)"

    async def objection(self, resource: Resource, params: NoParams) -> str | None:
        """It is a replica, its settings are wrong, and its primary is well and of the same system."""
        if refused := await replica_only(self.context, resource):
            return refused
        primary, seen = primary_of(self.context, resource), await seen_of(self.context, resource)
        if unfit := await unfit_primary(self.context, primary):
            return unfit
        if seen is None or self._set(resource, seen):
            return "it is set to follow its declared primary already: nothing to change"
        status = await postgres_of(self.context, resource).status(resource)
        if int(status.version.split(".")[0]) < _OLDEST_THAT_RELOADS:
            return f"PostgreSQL {status.version} takes this up at a restart only, which is not done here"
        view = await standby_of(self.context, primary, resource)
        if view.system_id != seen.system_id:
            return f"{primary.key} is another system ({view.system_id}, not {seen.system_id}): it can't follow that"
        return None

    async def run(self, resource: Resource, params: NoParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Read what is set, change what is wrong, reload."""
        rows = await postgres_of(self.context, resource).execute(
            resource, "select current_setting('primary_conninfo') as conninfo"
        )
        parts = dict(conninfo_parts(str(rows[0]["conninfo"] or "")))
        if not {"password", "passfile", "sslcert"} & parts.keys():
            password = read_password(database_of(resource).replication.password_file)
            parts |= {"password": password} if password else {}
        wanted = conninfo(**(parts | self._wanted(resource)))
        done = await told(self.context, resource, self._with(resource, wanted))
        return done if done.status != "succeeded" else ActionOutput("succeeded", "set and reloaded")

    async def effect(self, resource: Resource, params: NoParams, baseline: Mapping[str, Any]) -> Probe:
        seen = await seen_of(self.context, resource)
        if seen is not None and self._set(resource, seen):
            return Probe("took_effect", f"it is set to follow {seen.source}")
        return Probe("no_effect", "it is not set to follow its declared primary")

    def _with(self, resource: Resource, wanted: str) -> tuple[str, ...]:
        slot = database_of(resource).replication.slot
        lines = [f"alter system set primary_conninfo = {literal(wanted)}"]
        lines += [f"alter system set primary_slot_name = {literal(slot)}"] if slot else []
        return (*lines, "select pg_reload_conf() as reloaded")

    def _wanted(self, resource: Resource) -> dict[str, str]:
        primary = primary_of(self.context, resource)
        return {
            "host": primary.address,
            "port": str(database_of(primary).port),
            "user": database_of(resource).replication.user,
            "application_name": resource.id,
        }

    def _set(self, resource: Resource, seen: PostgresReplication) -> bool:
        wanted, slot = self._wanted(resource), database_of(resource).replication.slot
        follows = (seen.conninfo_host, seen.conninfo_port) == (wanted["host"], wanted["port"])
        return follows and (slot is None or seen.slot == slot)
