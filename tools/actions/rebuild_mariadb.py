"""Rebuild a MariaDB replica from its primary: for one whose data differs, or whose next log entry is gone."""

from __future__ import annotations

import shlex
from datetime import datetime

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, PermanentError
from graph.records import PlanStep, Resource
from tools.actions.action import place
from tools.actions.claimed import run_claimed
from tools.actions.claims import marker_root
from tools.actions.mariadb_copy import copy_line, exchange_line, look_line, option_file, places_of, put_back_line
from tools.actions.on_database import client_of, no_replica, of_engine, primary_of, unfit_primary
from tools.actions.on_provider import NoParams
from tools.actions.rebuilding import (
    COPY_SECONDS,
    EXCHANGE_SECONDS,
    FEED_SECONDS,
    Rebuild,
    RebuildParams,
    RestoreData,
    in_the_way,
)
from tools.clients.databases.database import DatabaseUnreachable, database_of, read_password
from tools.clients.host import FeedingHosts


class RebuildMariaDb(Rebuild):
    """Copies while the old server still runs; stops it only for the exchange of two folders. The old data is kept
    beside the new, and the undo puts it back. It does not follow yet: `repoint_replica` comes next."""

    spec = ActionSpec(
        name="rebuild_mariadb_replica",
        summary="copy the primary afresh and exchange the copy for the replica's data (MariaDB); the old is kept",
        risk="destructive",
        params=RebuildParams,
        deadline_seconds=COPY_SECONDS + EXCHANGE_SECONDS + 60,
        touches=touches_cluster,
        undone_by="restore_replica_data",
    )

    def admit(self, resource: Resource, params: RebuildParams) -> RebuildParams:
        """A replica of MariaDB with a host we may log in to, and its declared primary."""
        of_engine(resource, "mariadb")
        self.declared_primary(resource, params)
        places_of(resource)
        return params

    def render(self, resource: Resource, params: RebuildParams) -> str:
        """Both lines as they run; what the first is given to read is the login of the replication user."""
        here = place(resource)
        return f"{here}$ {self._feed_line(resource)} <<< [login of the copy]\n{here}$ {self._line(resource)}"

    async def precondition(self, resource: Resource, params: RebuildParams) -> str | None:
        """It is a replica, its primary is well, and there is room and nothing in the way."""
        if refused := await no_replica(self.context, resource) or await self._writable(resource):
            return refused
        if unfit := await unfit_primary(self.context, primary_of(self.context, resource)):
            return unfit
        if read_password(database_of(resource).replication.password_file) is None:
            return f"{resource.key} declares no database.replication.password_file: the primary can't be copied"
        return in_the_way(await self.look(resource), resource)

    def look_line(self, resource: Resource) -> str:
        return look_line(resource)

    async def run(
        self, resource: Resource, params: RebuildParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """Give the login to a file that only we may read; then copy and exchange, as one claimed command."""
        replication = database_of(resource).replication
        password = read_password(replication.password_file)
        hosts = self.context.hosts
        if password is None or not isinstance(hosts, FeedingHosts):
            raise PermanentError(f"{resource.key}: its host can't be given the login of the copy")
        given = await hosts.feed(
            resource, self._feed_line(resource), option_file(replication.user, password), FEED_SECONDS
        )
        if not given.ok:
            return ActionOutput("failed", f"nothing was begun: the login could not be kept there: {given.stderr[:300]}")
        return await run_claimed(self.context, resource, key, self._line(resource), COPY_SECONDS + EXCHANGE_SECONDS)

    def undo(self, resource: Resource, params: RebuildParams) -> PlanStep | None:
        """The old data is still there."""
        return PlanStep(action=RestoreReplicaData.spec.name, why="the copy is no better", expect="as it was before")

    async def _writable(self, resource: Resource) -> str | None:
        """A copy that starts without following anybody must not take writes meanwhile."""
        try:
            status = await client_of(self.context, resource).status(resource)
        except DatabaseUnreachable:
            return None
        return f"{resource.key} takes writes: set read_only in its configuration first" if status.writable else None

    def _options(self, resource: Resource) -> str:
        """Where the login is kept meanwhile, as a shell word."""
        return f"{marker_root(resource, self.context.marker_root)}/copy-{shlex.quote(resource.id)}.cnf"

    def _feed_line(self, resource: Resource) -> str:
        root = marker_root(resource, self.context.marker_root)
        return f"umask 077; mkdir -p {root} && cat > {self._options(resource)}"

    def _line(self, resource: Resource) -> str:
        primary = primary_of(self.context, resource)
        return f"{copy_line(resource, primary, self._options(resource))}; {exchange_line(resource)}"


class RestoreReplicaData(RestoreData):
    """See RestoreData."""

    spec = ActionSpec(
        name="restore_replica_data",
        summary="put back the data that a rebuild has set aside (MariaDB)",
        risk="destructive",
        params=NoParams,
        deadline_seconds=EXCHANGE_SECONDS + 30.0,
        touches=touches_cluster,
    )

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """For what may be rebuilt."""
        of_engine(resource, "mariadb")
        places_of(resource)
        return params

    def look_line(self, resource: Resource) -> str:
        return look_line(resource)

    def put_back_line(self, resource: Resource) -> str:
        return put_back_line(resource)
