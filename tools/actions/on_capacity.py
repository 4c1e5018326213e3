"""Add instances to the resource's Auto Scaling group, or take them away again.

Params say both the capacity there is and the one there shall be: where another repair, or Auto Scaling itself, has
changed it meanwhile, what was planned is no longer what would happen, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec, touches_host
from graph.ports import ActionOutput, Probe
from graph.records import PlanStep, Resource
from tools.actions.action import Action, NotAllowed, Params
from tools.actions.on_provider import provider_of, too_early
from tools.clients.providers.provider import CapacityStatus, ProviderError

_DEADLINE_SECONDS = 45.0


class CapacityParams(Params):
    """From how many instances to how many."""

    present: int = Field(ge=1, le=10_000, description="how many the group is to have now")
    desired: int = Field(ge=1, le=10_000, description="how many it shall have, within scaling.max_capacity")


def touches_group(resource: Resource) -> tuple[str, ...]:
    """The group too: two of its members must not both enlarge it."""
    group = resource.scaling.auto_scaling_group
    return (*touches_host(resource), *((f"scaling/{group}",) if group else ()))


class _SetCapacity(Action[CapacityParams]):
    params = CapacityParams

    def admit(self, resource: Resource, params: CapacityParams) -> CapacityParams:
        """A declared group, never beyond its declared capacity."""
        provider_of(self.context, resource)
        if resource.scaling.auto_scaling_group is None or resource.scaling.max_capacity is None:
            raise NotAllowed("action", f"{resource.key} declares no scaling.auto_scaling_group")
        if max(params.desired, params.present) > resource.scaling.max_capacity:
            raise NotAllowed("desired", f"the group may have {resource.scaling.max_capacity} instances at most")
        return params

    def render(self, resource: Resource, params: CapacityParams) -> str:
        """The API call."""
        provider = provider_of(self.context, resource)
        return provider.render(resource, "set_capacity", group=_group(resource), desired=params.desired)

    async def precondition(self, resource: Resource, params: CapacityParams) -> str | None:
        """The group is of the size that the plan was made for, and may have the one that is wanted."""
        now = await self._capacity(resource)
        if now.desired != params.present:
            return f"group {now.name} is to have {now.desired} instances, not {params.present}: it changed meanwhile"
        if not now.minimum <= params.desired <= now.maximum:
            return f"group {now.name} may have {now.minimum} to {now.maximum} instances by its own limits"
        return None

    async def baseline(self, resource: Resource, params: CapacityParams) -> dict[str, Any]:
        """`desired` and `in_service`, None where the provider does not tell, and the time."""
        at = {"at": self.context.clock.now().isoformat()}
        try:
            now = await self._capacity(resource)
        except ProviderError as error:
            return at | {"desired": None, "in_service": None, "unknown": str(error)}
        return at | {"desired": now.desired, "in_service": now.in_service}

    async def run(
        self, resource: Resource, params: CapacityParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """One call, which names the number there shall be: asked twice, it does no more than once."""
        provider = provider_of(self.context, resource)
        said = await provider.set_capacity(resource, group=_group(resource), desired=params.desired)
        return ActionOutput("succeeded", said)

    async def probe(self, resource: Resource, params: CapacityParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """How many there shall be now."""
        now = await self._capacity(resource)
        said = f"group {now.name} is to have {now.desired} instances, {now.in_service} of them serve"
        if now.desired == params.desired:
            return Probe("took_effect", said)
        if now.desired != params.present:
            return Probe("unknown", f"{said}: somebody else has changed it")
        return too_early(Probe("no_effect", said), baseline, _DEADLINE_SECONDS, self.context.clock.now())

    async def _capacity(self, resource: Resource) -> CapacityStatus:
        return await provider_of(self.context, resource).capacity(resource, group=_group(resource))


class AddInstances(_SetCapacity):
    """New instances beside those that serve: none of these is touched, but they cost."""

    spec = ActionSpec(
        name="add_instances",
        summary="add instances to the resource's Auto Scaling group, within its declared capacity",
        risk="disruptive",
        params=CapacityParams,
        deadline_seconds=_DEADLINE_SECONDS,
        touches=touches_group,
        undone_by="remove_instances",
    )

    def admit(self, resource: Resource, params: CapacityParams) -> CapacityParams:
        """More than there are, and at most twice as many: a wrong number must not cost a fortune."""
        super().admit(resource, params)
        if not params.present < params.desired <= 2 * params.present:
            raise NotAllowed("desired", f"one repair adds to {params.present} instances, and at most as many again")
        return params

    def undo(self, resource: Resource, params: CapacityParams) -> PlanStep:
        """Back to as many as there were."""
        return PlanStep(
            action="remove_instances",
            params={"present": params.desired, "desired": params.present},
            why="more instances did not help",
            expect="the group is as large as before",
        )


class RemoveInstances(_SetCapacity):
    """Takes add_instances back. What an instance was just doing is lost, so never a repair of its own."""

    spec = ActionSpec(
        name="remove_instances",
        summary="set the capacity of the resource's Auto Scaling group back: takes add_instances back",
        risk="destructive",
        params=CapacityParams,
        deadline_seconds=_DEADLINE_SECONDS,
        touches=touches_group,
    )

    def admit(self, resource: Resource, params: CapacityParams) -> CapacityParams:
        """Fewer than there are, and no more than half of them go."""
        super().admit(resource, params)
        if not params.present <= 2 * params.desired < 2 * params.present:
            raise NotAllowed("desired", f"of {params.present} instances some may go, and at most half")
        return params


def _group(resource: Resource) -> str:
    return resource.scaling.auto_scaling_group or ""
