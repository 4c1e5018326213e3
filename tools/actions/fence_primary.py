"""Make sure that a lost primary takes no more writes, before another is promoted in its place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, NotAllowed, Params, place
from tools.actions.claimed import run_claimed
from tools.actions.fencing import machine_of, still_answers, unfenced, unit_of
from tools.actions.on_provider import provider_of
from tools.services.status import manager_for
from tools.services.units import declared

_ON_HOST_SECONDS = 60
_DEADLINE_SECONDS = 180.0
_POLL_SECONDS = 1.0


class FenceParams(Params):
    """How: on its host where that answers, which also holds when the host starts again; else through its provider."""

    by: Literal["service", "provider"] = Field(description="stop its service for good, or its machine by force")


class FencePrimary(Action[FenceParams]):
    """Stops its service and keeps it from starting with the host; or stops its machine by force through its provider.
    There is no way back by itself: an old primary that comes back must first be rebuilt as a replica."""

    spec = ActionSpec(
        name="fence_primary",
        summary="make sure that a lost primary takes no writes: its machine stopped, or its service stopped for good",
        risk="destructive",
        params=FenceParams,
        deadline_seconds=_DEADLINE_SECONDS,
        touches=touches_cluster,
        judged_by="traffic",
    )
    params = FenceParams

    def admit(self, resource: Resource, params: FenceParams) -> FenceParams:
        """For what is declared as primary."""
        if resource.database is None or resource.database.role != "primary":
            raise NotAllowed("action", f"{resource.key} is not declared as a primary: there is nothing to fence")
        if params.by == "provider":
            provider_of(self.context, machine_of(self.context, resource))
        elif not unit_of(resource):
            raise NotAllowed("by", f"{resource.key} declares no service that could be stopped")
        return params

    def render(self, resource: Resource, params: FenceParams) -> str:
        """The API call, or the command."""
        if params.by == "provider":
            machine = machine_of(self.context, resource)
            return provider_of(self.context, machine).render(machine, "force_stop")
        return f"{place(resource)}$ {self._command(resource)}"

    async def precondition(self, resource: Resource, params: FenceParams) -> str | None:
        """It is silent: one that answers is not lost."""
        return await still_answers(self.context, resource)

    async def baseline(self, resource: Resource, params: FenceParams) -> dict[str, Any]:
        """Nothing to compare with: what counts is what is the case."""
        return {"at": self.context.clock.now().isoformat()}

    async def run(self, resource: Resource, params: FenceParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Stopping what is stopped changes nothing, so this may be repeated."""
        if params.by == "service":
            return await run_claimed(self.context, resource, key, self._command(resource), _ON_HOST_SECONDS)
        machine = machine_of(self.context, resource)
        provider = provider_of(self.context, machine)
        said = await provider.stop(machine, force=True)
        give_up = self.context.clock.now() + timedelta(seconds=_DEADLINE_SECONDS - 20)
        while doubt := await unfenced(self.context, resource):
            if self.context.clock.now() >= give_up:
                return ActionOutput("unknown", f"{said}; {doubt}")
            await self.context.clock.sleep(_POLL_SECONDS)
        return ActionOutput("succeeded", f"{said}; it can take no writes now")

    async def probe(self, resource: Resource, params: FenceParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Whether it can still take writes."""
        if doubt := await unfenced(self.context, resource):
            return Probe("no_effect", doubt)
        return Probe("took_effect", f"{resource.key} can take no writes")

    def _command(self, resource: Resource) -> str:
        manager = manager_for(resource)
        return manager.disable_command(declared(resource, unit_of(resource), manager))
