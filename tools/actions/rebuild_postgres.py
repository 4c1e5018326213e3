"""Rebuild a PostgreSQL replica from its primary: for one that needs log that is gone."""

from __future__ import annotations

from datetime import datetime

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, PermanentError
from graph.records import PlanStep, Resource
from tools.actions.action import place
from tools.actions.claimed import run_claimed
from tools.actions.on_database import no_replica, of_engine, primary_of, unfit_primary
from tools.actions.on_postgres import behind_patroni, not_patronis, standby_of
from tools.actions.on_provider import NoParams
from tools.actions.postgres_copy import (
    copy_line,
    exchange_line,
    feed_line,
    look_line,
    passfile_line,
    places_of,
    put_back_line,
)
from tools.actions.rebuilding import (
    COPY_SECONDS,
    EXCHANGE_SECONDS,
    FEED_SECONDS,
    Rebuild,
    RebuildParams,
    RestoreData,
    in_the_way,
    told,
)
from tools.clients.databases.database import database_of, read_password
from tools.clients.databases.postgresql_replication import Standby
from tools.clients.host import FeedingHosts


class RebuildPostgres(Rebuild):
    """Copies while the old server may still run; stops it only for the exchange of two folders. The old data is kept
    beside the new, and the undo puts it back."""

    spec = ActionSpec(
        name="rebuild_postgres_replica",
        summary="copy the primary afresh and exchange the copy for the replica's data (PostgreSQL); the old is kept",
        risk="destructive",
        params=RebuildParams,
        deadline_seconds=COPY_SECONDS + EXCHANGE_SECONDS + 60,
        touches=touches_cluster,
        undone_by="restore_postgres_data",
    )

    def admit(self, resource: Resource, params: RebuildParams) -> RebuildParams:
        """A replica with a host we may log in to, and its declared primary."""
        of_engine(resource, "postgresql")
        not_patronis(resource)
        self.declared_primary(resource, params)
        places_of(resource)
        return params

    def render(self, resource: Resource, params: RebuildParams) -> str:
        """Both lines as they run; what the first is given to read is the replication user's password."""
        here = place(resource)
        fed = f"{here}$ {feed_line(resource)} <<< [password of the copy]\n" if self._declares_password(resource) else ""
        return f"{fed}{here}$ {self._line(resource)}"

    async def precondition(self, resource: Resource, params: RebuildParams) -> str | None:
        """It is a replica, its primary is one and well, there is room, nothing is in the way, and both are of one
        system."""
        if refused := await behind_patroni(self.context, resource) or await no_replica(self.context, resource):
            return refused
        primary = primary_of(self.context, resource)
        if unfit := await unfit_primary(self.context, primary):
            return unfit
        view = await standby_of(self.context, primary, resource)
        if unready := _slot_unready(view, resource):
            return unready
        seen = await self.look(resource)
        return _of_another_system(seen, view) or in_the_way(seen, resource)

    def look_line(self, resource: Resource) -> str:
        return look_line(resource)

    async def run(
        self, resource: Resource, params: RebuildParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """Give the password to a file that only the owner may read; then copy and exchange, as one claimed command."""
        if self._declares_password(resource):
            given = await self._feed(resource)
            if given is not None:
                return ActionOutput("failed", f"nothing was begun: the password could not be kept there: {given}")
        return await run_claimed(self.context, resource, key, self._line(resource), COPY_SECONDS + EXCHANGE_SECONDS)

    def undo(self, resource: Resource, params: RebuildParams) -> PlanStep | None:
        """The old data is still there."""
        return PlanStep(action=RestorePostgresData.spec.name, why="the copy is no better", expect="as it was before")

    async def _feed(self, resource: Resource) -> str | None:
        """Why the password could not be put there, or None."""
        hosts, password = self.context.hosts, read_password(database_of(resource).replication.password_file)
        if password is None or not isinstance(hosts, FeedingHosts):
            raise PermanentError(f"{resource.key}: its host can't be given the password of the copy")
        secret = passfile_line(resource, primary_of(self.context, resource), password)
        given = await hosts.feed(resource, feed_line(resource), secret, FEED_SECONDS)
        return None if given.ok else given.stderr[:300]

    def _declares_password(self, resource: Resource) -> bool:
        return database_of(resource).replication.password_file is not None

    def _line(self, resource: Resource) -> str:
        return f"{copy_line(resource, primary_of(self.context, resource))}; {exchange_line(resource)}"


class RestorePostgresData(RestoreData):
    """See RestoreData."""

    spec = ActionSpec(
        name="restore_postgres_data",
        summary="put back the data that a rebuild has set aside (PostgreSQL)",
        risk="destructive",
        params=NoParams,
        deadline_seconds=EXCHANGE_SECONDS + 30.0,
        touches=touches_cluster,
    )

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """For what may be rebuilt."""
        of_engine(resource, "postgresql")
        not_patronis(resource)
        places_of(resource)
        return params

    def look_line(self, resource: Resource) -> str:
        return look_line(resource)

    def put_back_line(self, resource: Resource) -> str:
        return put_back_line(resource)


def _slot_unready(view: Standby, resource: Resource) -> str | None:
    slot = database_of(resource).replication.slot
    if slot and not view.slot_exists:
        return f"its slot {slot} is not there: make it first (recreate_slot), or the copy could not follow"
    if slot and view.wal_status == "lost":
        return f"its slot {slot} is lost: make it anew first (recreate_slot)"
    return None


def _of_another_system(output: str, view: Standby) -> str | None:
    """Why this data is not to be overwritten with the primary's, or None."""
    system = told(output, "system")
    if system and system != view.system_id:
        return f"its data is of another system ({system}) than its primary's ({view.system_id}): not overwritten"
    return None
