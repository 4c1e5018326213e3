"""Repairs of a database that its provider runs: there is no host to log in to, and the API does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, NotAllowed, Params
from tools.actions.on_provider import NoParams, provider_of, too_early
from tools.clients.providers.provider import ManagedDatabaseStatus, ProviderError

_DEADLINE_SECONDS = 60.0
_BUSY = ("rebooting", "modifying", "creating", "deleting", "stopping", "starting", "upgrading", "maintenance")


class RebootParams(Params):
    """How."""

    failover: bool = Field(default=False, description="let the standby in another zone take over")


def managed(resource: Resource) -> Resource:
    """The resource, where its provider runs its database. Raises NotAllowed."""
    if resource.database is None or resource.transport != "none":
        raise NotAllowed("action", f"{resource.key} is no database that a provider runs (transport: none)")
    return resource


class RebootDatabase(Action[RebootParams]):
    """Ends every connection; what was committed stays."""

    spec = ActionSpec(
        name="reboot_database",
        summary="reboot a managed database through its provider",
        risk="disruptive",
        params=RebootParams,
        deadline_seconds=_DEADLINE_SECONDS,
        touches=touches_cluster,
    )
    params = RebootParams

    def admit(self, resource: Resource, params: RebootParams) -> RebootParams:
        """Needs a provider that runs it."""
        provider_of(self.context, managed(resource))
        return params

    def render(self, resource: Resource, params: RebootParams) -> str:
        """The API call."""
        return provider_of(self.context, resource).render(resource, "reboot_database", failover=params.failover)

    async def precondition(self, resource: Resource, params: RebootParams) -> str | None:
        """Nothing is being done to it already."""
        status = await provider_of(self.context, resource).managed_database(resource)
        if status.state in _BUSY or status.state.startswith("configuring"):
            return f"the provider says {status.id} is {status.state}: it is being worked on already"
        return f"the provider says {status.id} is stopped" if status.state == "stopped" else None

    async def baseline(self, resource: Resource, params: RebootParams) -> dict[str, Any]:
        """`state`, None where the provider does not tell, and the time."""
        at = {"at": self.context.clock.now().isoformat()}
        return at | await _state(self, resource)

    async def run(self, resource: Resource, params: RebootParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Ask for it."""
        provider = provider_of(self.context, resource)
        return ActionOutput("succeeded", await provider.reboot_database(resource, failover=params.failover))

    async def probe(self, resource: Resource, params: RebootParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """A reboot that is over leaves no trace in the API: only one under way is proven."""
        status = await provider_of(self.context, resource).managed_database(resource)
        if status.state == "rebooting":
            return Probe("took_effect", f"the provider says {status.id} is rebooting")
        return Probe("unknown", f"the provider says {status.id} is {status.state}, and not when it last booted")


class PromoteDatabase(Action[NoParams]):
    """Makes a read replica a primary of its own, for good: whatever its former primary still takes is lost to it."""

    spec = ActionSpec(
        name="promote_database",
        summary="promote a managed read replica through its provider",
        risk="destructive",
        params=NoParams,
        deadline_seconds=_DEADLINE_SECONDS,
        touches=touches_cluster,
        judged_by="traffic",
    )
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """Needs a provider that runs it, and to be declared a replica."""
        provider_of(self.context, managed(resource))
        if resource.database is None or resource.database.role != "replica":
            raise NotAllowed("action", f"{resource.key} is declared a primary")
        return params

    def render(self, resource: Resource, params: NoParams) -> str:
        """The API call."""
        return provider_of(self.context, resource).render(resource, "promote_database")

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """It is a replica, available, and what it replicates can take no writes."""
        provider = provider_of(self.context, resource)
        status = await provider.managed_database(resource)
        if status.source is None:
            return f"the provider says {status.id} is no replica"
        if status.state != "available":
            return f"the provider says {status.id} is {status.state}"
        source = self._source(resource, status)
        if source is None:
            return f"its source {status.source} is no declared peer: whether it still takes writes cannot be told"
        state = (await provider.managed_database(source)).state
        if state in ("stopped", "failed", "inaccessible-encryption-credentials", "incompatible-restore"):
            return None
        return f"the provider says its source {status.source} is {state}: it may still take writes"

    async def baseline(self, resource: Resource, params: NoParams) -> dict[str, Any]:
        """`state` and `source`, None where the provider does not tell, and the time."""
        at = {"at": self.context.clock.now().isoformat()}
        return at | await _state(self, resource)

    async def run(self, resource: Resource, params: NoParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Ask for it."""
        return ActionOutput("succeeded", await provider_of(self.context, resource).promote_database(resource))

    async def probe(self, resource: Resource, params: NoParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Whether it is a replica still."""
        status = await provider_of(self.context, resource).managed_database(resource)
        if status.source is None:
            return Probe("took_effect", f"the provider says {status.id} is no replica any more")
        if status.state != "available":
            return Probe("unknown", f"the provider says {status.id} is {status.state}")
        found = Probe("no_effect", f"the provider says {status.id} is a replica of {status.source} still")
        return too_early(found, baseline, _DEADLINE_SECONDS, self.context.clock.now())

    def _source(self, resource: Resource, status: ManagedDatabaseStatus) -> Resource | None:
        peers = (self.context.inventory.get(key) for key in resource.peer_keys)
        names = ((status.source or "").rpartition(":")[2],)
        return next((peer for peer in peers if peer is not None and peer.provider.instance_id in names), None)


async def _state(action: Action[Any], resource: Resource) -> dict[str, Any]:
    try:
        status = await provider_of(action.context, resource).managed_database(resource)
    except ProviderError as error:
        return {"state": None, "source": None, "unknown": str(error)}
    return {"state": status.state, "source": status.source}
