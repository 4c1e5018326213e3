"""Make sure that a lost primary takes no more writes, before another is promoted in its place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, NotAllowed, place
from tools.actions.claimed import run_claimed
from tools.actions.fencing import machine_of, still_answers, unfenced, unit_of
from tools.actions.on_provider import NoParams, provider_of
from tools.services.status import manager_for
from tools.services.units import declared

_ON_HOST_SECONDS = 60
_DEADLINE_SECONDS = 180.0
_POLL_SECONDS = 1.0


class FencePrimary(Action[NoParams]):
    """Stops its machine by force through its provider; where it has none, stops its service and keeps it from starting
    with the host. There is no way back by itself: an old primary that comes back must first be rebuilt as a replica."""

    spec = ActionSpec(
        name="fence_primary",
        summary="make sure that a lost primary takes no writes: its machine stopped, or its service stopped for good",
        risk="destructive",
        params=NoParams,
        deadline_seconds=_DEADLINE_SECONDS,
        touches=touches_cluster,
        judged_by="traffic",
    )
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """For what is declared as primary."""
        if resource.database is None or resource.database.role != "primary":
            raise NotAllowed("action", f"{resource.key} is not declared as a primary: there is nothing to fence")
        if not self._by_provider(resource) and not unit_of(resource):
            raise NotAllowed(
                "action", f"{resource.key} has neither a provider nor a declared service: it can't be fenced"
            )
        return params

    def render(self, resource: Resource, params: NoParams) -> str:
        """The API call, or the command."""
        if self._by_provider(resource):
            machine = machine_of(self.context, resource)
            return provider_of(self.context, machine).render(machine, "force_stop")
        return f"{place(resource)}$ {self._command(resource)}"

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """It is silent: one that answers is not lost."""
        return await still_answers(self.context, resource)

    async def baseline(self, resource: Resource, params: NoParams) -> dict[str, Any]:
        """Nothing to compare with: what counts is what is the case."""
        return {"at": self.context.clock.now().isoformat()}

    async def run(self, resource: Resource, params: NoParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Stopping what is stopped changes nothing, so this may be repeated."""
        if not self._by_provider(resource):
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

    async def probe(self, resource: Resource, params: NoParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Whether it can still take writes."""
        if doubt := await unfenced(self.context, resource):
            return Probe("no_effect", doubt)
        return Probe("took_effect", f"{resource.key} can take no writes")

    def _by_provider(self, resource: Resource) -> bool:
        return self.context.provider(machine_of(self.context, resource)) is not None

    def _command(self, resource: Resource) -> str:
        manager = manager_for(resource)
        return manager.disable_command(declared(resource, unit_of(resource), manager))
