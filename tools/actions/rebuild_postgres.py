"""Rebuild a PostgreSQL replica from its primary: for one that needs log that is gone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, PermanentError, Probe
from graph.records import PlanStep, Resource
from tools.actions.action import Action, NotAllowed, Params, place
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
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
from tools.clients.databases.database import database_of, read_password
from tools.clients.databases.postgresql_replication import Standby
from tools.clients.host import FeedingHosts, HostUnreachable

COPY_SECONDS = 3 * 3600
_EXCHANGE_SECONDS = 240
_FEED_SECONDS = 10.0
_ROOM = 1.2
"""How much room a copy needs, as a multiple of the data it replaces."""


class RebuildParams(Params):
    """Whom to copy."""

    primary: str = Field(min_length=1, max_length=200, description="id of the declared primary")


class RebuildPostgres(Action[RebuildParams]):
    """Copies while the old server may still run; stops it only for the exchange of two folders. The old data is kept
    beside the new, and the undo puts it back."""

    spec = ActionSpec(
        name="rebuild_postgres_replica",
        summary="copy the primary afresh and exchange the copy for the replica's data (PostgreSQL); the old is kept",
        risk="destructive",
        params=RebuildParams,
        deadline_seconds=COPY_SECONDS + _EXCHANGE_SECONDS + 60,
        touches=touches_cluster,
        undone_by="restore_postgres_data",
    )
    params = RebuildParams

    def admit(self, resource: Resource, params: RebuildParams) -> RebuildParams:
        """A replica with a host we may log in to, and its declared primary."""
        of_engine(resource, "postgresql")
        not_patronis(resource)
        primary = primary_of(self.context, resource)
        if params.primary != primary.id:
            raise NotAllowed("primary", f"the declared primary of {resource.key} is {primary.id}, not {params.primary}")
        if database_of(resource).role == "primary":
            raise NotAllowed("action", f"{resource.key} is declared as primary: it is never rebuilt")
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
        result = await self.context.hosts.run(resource, look_line(resource))
        return in_the_way(result.stdout, resource, view)

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
        """Give the password to a file that only the owner may read; then copy and exchange, as one claimed command."""
        if self._declares_password(resource):
            given = await self._feed(resource)
            if given is not None:
                return ActionOutput("failed", f"nothing was begun: the password could not be kept there: {given}")
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
        return PlanStep(action=RestorePostgresData.spec.name, why="the copy is no better", expect="as it was before")

    async def _feed(self, resource: Resource) -> str | None:
        """Why the password could not be put there, or None."""
        hosts, password = self.context.hosts, read_password(database_of(resource).replication.password_file)
        if password is None or not isinstance(hosts, FeedingHosts):
            raise PermanentError(f"{resource.key}: its host can't be given the password of the copy")
        secret = passfile_line(resource, primary_of(self.context, resource), password)
        given = await hosts.feed(resource, feed_line(resource), secret, _FEED_SECONDS)
        return None if given.ok else given.stderr[:300]

    def _declares_password(self, resource: Resource) -> bool:
        return database_of(resource).replication.password_file is not None

    def _line(self, resource: Resource) -> str:
        return f"{copy_line(resource, primary_of(self.context, resource))}; {exchange_line(resource)}"


class RestorePostgresData(Action[NoParams]):
    """Put the data back that a rebuild has set aside."""

    spec = ActionSpec(
        name="restore_postgres_data",
        summary="put back the data that a rebuild has set aside (PostgreSQL)",
        risk="destructive",
        params=NoParams,
        deadline_seconds=_EXCHANGE_SECONDS + 30.0,
        touches=touches_cluster,
    )
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """For what may be rebuilt."""
        of_engine(resource, "postgresql")
        not_patronis(resource)
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
        return {}

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


def _slot_unready(view: Standby, resource: Resource) -> str | None:
    slot = database_of(resource).replication.slot
    if slot and not view.slot_exists:
        return f"its slot {slot} is not there: make it first (recreate_slot), or the copy could not follow"
    if slot and view.wal_status == "lost":
        return f"its slot {slot} is lost: make it anew first (recreate_slot)"
    return None


def in_the_way(output: str, resource: Resource, view: Standby) -> str | None:
    """Why it can't be rebuilt, by what `look_line` tells; or None."""
    at, lines = database_of(resource).data_dir, output.splitlines()
    room, need, system = (_told(output, name) for name in ("room", "need", "system"))
    if not _told(output, "data"):
        return f"there is no folder {at} on {place(resource)}"
    if "missing pg_basebackup" in lines:
        return f"pg_basebackup is not installed on {place(resource)}"
    if "mount" in lines:
        return f"{at} is a file system of its own: it can't be exchanged for another folder"
    if "before" in lines:
        return f"{at}.before is there, data of an earlier rebuild: remove it when it is no longer needed"
    if system and system != view.system_id:
        return f"its data is of another system ({system}) than its primary's ({view.system_id}): not overwritten"
    if not room.isdigit() or not need.isdigit():
        return f"{place(resource)} does not tell how much room there is: it said {output.strip()[:200]!r}"
    if int(room) < int(need) * _ROOM:
        return f"a copy needs about {int(int(need) * _ROOM)} MiB beside {at}, and there are {room}"
    return None


def _told(output: str, name: str) -> str:
    """The word after `name` in what `look_line` tells."""
    match = re.search(rf"^{name} +(\S+)$", output, re.MULTILINE)
    return match[1] if match else ""
