"""Rebuild a MariaDB replica from its primary: for one whose data differs, or whose next log entry is gone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, PermanentError, Probe
from graph.records import PlanStep, Resource
from tools.actions.action import Action, NotAllowed, Params, place
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.actions.claims import marker_root
from tools.actions.mariadb_copy import copy_line, exchange_line, look_line, option_file, places_of, put_back_line
from tools.actions.on_database import client_of, no_replica, of_engine, primary_of, unfit_primary
from tools.actions.on_provider import NoParams
from tools.clients.databases.database import DatabaseUnreachable, database_of, read_password
from tools.clients.host import FeedingHosts, HostUnreachable

COPY_SECONDS = 3 * 3600
_EXCHANGE_SECONDS = 240
_FEED_SECONDS = 10.0
_ROOM = 1.2
"""How much room a copy needs, as a multiple of the data it replaces."""


class RebuildParams(Params):
    """Whom to copy."""

    primary: str = Field(min_length=1, max_length=200, description="id of the declared primary")


class RebuildMariaDb(Action[RebuildParams]):
    """Copies while the old server still runs; stops it only for the exchange of two folders. The old data is kept
    beside the new, and the undo puts it back. It does not follow yet: `repoint_replica` comes next."""

    spec = ActionSpec(
        name="rebuild_mariadb_replica",
        summary="copy the primary afresh and exchange the copy for the replica's data (MariaDB); the old is kept",
        risk="destructive",
        params=RebuildParams,
        deadline_seconds=COPY_SECONDS + _EXCHANGE_SECONDS + 60,
        touches=touches_cluster,
        undone_by="restore_replica_data",
    )
    params = RebuildParams

    def admit(self, resource: Resource, params: RebuildParams) -> RebuildParams:
        """A replica of MariaDB with a host we may log in to, and its declared primary."""
        of_engine(resource, "mariadb")
        primary = primary_of(self.context, resource)
        if params.primary != primary.id:
            raise NotAllowed("primary", f"the declared primary of {resource.key} is {primary.id}, not {params.primary}")
        if database_of(resource).role == "primary":
            raise NotAllowed("action", f"{resource.key} is declared as primary: it is never rebuilt")
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
        result = await self.context.hosts.run(resource, look_line(resource))
        return _in_the_way(result.stdout, resource)

    async def baseline(self, resource: Resource, params: RebuildParams) -> dict[str, Any]:
        """Which folder is the data now."""
        try:
            result = await self.context.hosts.run(resource, look_line(resource))
        except HostUnreachable as error:
            return {"unknown": str(error)[:200]}
        return {"data": _told(result.stdout, "data")}

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
            resource, self._feed_line(resource), option_file(replication.user, password), _FEED_SECONDS
        )
        if not given.ok:
            return ActionOutput("failed", f"nothing was begun: the login could not be kept there: {given.stderr[:300]}")
        return await run_claimed(self.context, resource, key, self._line(resource), COPY_SECONDS + _EXCHANGE_SECONDS)

    async def probe(self, resource: Resource, params: RebuildParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, whether the folders were exchanged."""
        if proven := probe_of_claim(await claim_of(self.context, resource, key), resource):
            return proven
        result = await self.context.hosts.run(resource, look_line(resource))
        now, then = _told(result.stdout, "data"), baseline.get("data")
        if now and then and now != then:
            return Probe("took_effect", "begun, without an exit status; but the data is another folder now")
        return Probe("unknown", "begun, without an exit status, and the data is the folder it was")

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


class RestoreReplicaData(Action[NoParams]):
    """Put the data back that a rebuild has set aside."""

    spec = ActionSpec(
        name="restore_replica_data",
        summary="put back the data that a rebuild has set aside (MariaDB)",
        risk="destructive",
        params=NoParams,
        deadline_seconds=_EXCHANGE_SECONDS + 30.0,
        touches=touches_cluster,
    )
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """For what may be rebuilt."""
        of_engine(resource, "mariadb")
        places_of(resource)
        return params

    def render(self, resource: Resource, params: NoParams) -> str:
        return f"{place(resource)}$ {put_back_line(resource)}"

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """It is a replica, and its old data is there."""
        if refused := await no_replica(self.context, resource):
            return refused
        result = await self.context.hosts.run(resource, look_line(resource))
        return None if "before" in result.stdout.splitlines() else "no data was set aside: there is nothing to put back"

    async def baseline(self, resource: Resource, params: NoParams) -> dict[str, Any]:
        """Which folder is the data now."""
        try:
            result = await self.context.hosts.run(resource, look_line(resource))
        except HostUnreachable as error:
            return {"unknown": str(error)[:200]}
        return {"data": _told(result.stdout, "data")}

    async def run(self, resource: Resource, params: NoParams, key: str, first_started_at: datetime) -> ActionOutput:
        """One claimed command."""
        return await run_claimed(self.context, resource, key, put_back_line(resource), _EXCHANGE_SECONDS)

    async def probe(self, resource: Resource, params: NoParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, whether the data set aside is gone from there."""
        if proven := probe_of_claim(await claim_of(self.context, resource, key), resource):
            return proven
        result = await self.context.hosts.run(resource, look_line(resource))
        if "before" not in result.stdout.splitlines() and _told(result.stdout, "data"):
            return Probe("took_effect", "begun, without an exit status; but the old data is in its place")
        return Probe("unknown", "begun, without an exit status, and the old data is where it was set aside")


def _told(output: str, name: str) -> str:
    """The word after `name` in what `look_line` tells."""
    match = re.search(rf"^{name} +(\S+)$", output, re.MULTILINE)
    return match[1] if match else ""


def _in_the_way(output: str, resource: Resource) -> str | None:
    """Why it can't be rebuilt, by what `look_line` tells; or None."""
    at, lines = database_of(resource).data_dir, output.splitlines()
    missing = [line.removeprefix("missing ") for line in lines if line.startswith("missing ")]
    room, need = _told(output, "room"), _told(output, "need")
    if not _told(output, "data"):
        return f"there is no folder {at} on {place(resource)}"
    if missing:
        return f"{', '.join(missing)} is not installed on {place(resource)}"
    if "mount" in lines:
        return f"{at} is a file system of its own: it can't be exchanged for another folder"
    if "before" in lines:
        return f"{at}.before is there, data of an earlier rebuild: remove it when it is no longer needed"
    if not room.isdigit() or not need.isdigit():
        return f"{place(resource)} does not tell how much room there is: it said {output.strip()[:200]!r}"
    if int(room) < int(need) * _ROOM:
        return f"a copy needs about {int(int(need) * _ROOM)} MiB beside {at}, and there are {room}"
    return None
