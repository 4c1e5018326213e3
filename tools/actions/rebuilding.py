"""What rebuilding a replica has in common whatever the engine: a copy beside the data, until both are exchanged.

Which folder is the data now is told by its inode: that is what proves an exchange whose end nobody saw. Both engines
let `look_line` tell in the same words: `data INODE`, `before`, `mount`, `room MIB`, `need MIB`, `missing PROGRAM`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, NotAllowed, P, Params, place
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.actions.on_database import no_replica, primary_of
from tools.actions.on_provider import NoParams
from tools.clients.databases.database import database_of
from tools.clients.host import HostUnreachable

COPY_SECONDS = 3 * 3600
EXCHANGE_SECONDS = 240
FEED_SECONDS = 10.0
_ROOM = 1.2
"""How much room a copy needs, as a multiple of the data it replaces."""


class RebuildParams(Params):
    """Whom to copy."""

    primary: str = Field(min_length=1, max_length=200, description="id of the declared primary")


class OnData(Action[P]):
    """An action that exchanges a replica's data for another folder."""

    @abstractmethod
    def look_line(self, resource: Resource) -> str:
        """A shell line that tells of the folders, changing nothing."""

    async def look(self, resource: Resource) -> str:
        """What `look_line` tells. Raises HostUnreachable."""
        return (await self.context.hosts.run(resource, self.look_line(resource))).stdout

    async def baseline(self, resource: Resource, params: P) -> dict[str, Any]:
        """Which folder is the data now."""
        try:
            return {"data": told(await self.look(resource), "data")}
        except HostUnreachable as error:
            return {"unknown": str(error)[:200]}


class Rebuild(OnData[RebuildParams]):
    """Copies the primary while the old server may still run, and stops it only for the exchange of two folders."""

    params = RebuildParams

    def declared_primary(self, resource: Resource, params: RebuildParams) -> Resource:
        """The primary to copy. Raises NotAllowed for another than the declared one, and for one declared as primary."""
        primary = primary_of(self.context, resource)
        if params.primary != primary.id:
            raise NotAllowed("primary", f"the declared primary of {resource.key} is {primary.id}, not {params.primary}")
        if database_of(resource).role == "primary":
            raise NotAllowed("action", f"{resource.key} is declared as primary: it is never rebuilt")
        return primary

    async def probe(self, resource: Resource, params: RebuildParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, whether the folders were exchanged."""
        if proven := probe_of_claim(await claim_of(self.context, resource, key), resource):
            return proven
        now, then = told(await self.look(resource), "data"), baseline.get("data")
        if now and then and now != then:
            return Probe("took_effect", "begun, without an exit status; but the data is another folder now")
        return Probe("unknown", "begun, without an exit status, and the data is the folder it was")


class RestoreData(OnData[NoParams]):
    """Puts the data back that a rebuild has set aside."""

    params = NoParams

    @abstractmethod
    def put_back_line(self, resource: Resource) -> str:
        """The shell line that does it."""

    def render(self, resource: Resource, params: NoParams) -> str:
        """`selfheal@10.0.0.7:22$ …`."""
        return f"{place(resource)}$ {self.put_back_line(resource)}"

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """It is a replica, and its old data is there."""
        if refused := await no_replica(self.context, resource):
            return refused
        aside = "before" in (await self.look(resource)).splitlines()
        return None if aside else "no data was set aside: there is nothing to put back"

    async def run(self, resource: Resource, params: NoParams, key: str, first_started_at: datetime) -> ActionOutput:
        """One claimed command."""
        return await run_claimed(self.context, resource, key, self.put_back_line(resource), EXCHANGE_SECONDS)

    async def probe(self, resource: Resource, params: NoParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, whether the data set aside is gone from there."""
        if proven := probe_of_claim(await claim_of(self.context, resource, key), resource):
            return proven
        seen = await self.look(resource)
        if "before" not in seen.splitlines() and told(seen, "data"):
            return Probe("took_effect", "begun, without an exit status; but the old data is in its place")
        return Probe("unknown", "begun, without an exit status, and the old data is where it was set aside")


def told(output: str, name: str) -> str:
    """The word after `name` in what `look_line` tells."""
    match = re.search(rf"^{name} +(\S+)$", output, re.MULTILINE)
    return match[1] if match else ""


def in_the_way(output: str, resource: Resource) -> str | None:
    """Why its data can't be exchanged for a copy, by what `look_line` tells; or None."""
    at, lines = database_of(resource).data_dir, output.splitlines()
    missing = [line.removeprefix("missing ") for line in lines if line.startswith("missing ")]
    room, need = told(output, "room"), told(output, "need")
    if not told(output, "data"):
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
