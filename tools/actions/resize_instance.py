"""Give a host another size: stop it, change its type, start it.

One declared action, three API calls, and a process may die between them. So `run` goes by what it finds: it stops what
runs with another type, changes the type of what is stopped, starts what is stopped. Where the new type can't be had the
host is started as what it was: whatever happens, it is not left off.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import PlanStep, Resource
from tools.actions.action import Action, NotAllowed, Params
from tools.actions.on_provider import launched_anew, must_be, named, provider_baseline, provider_of, too_early
from tools.clients.providers.provider import Provider, ProviderError, ProviderStatus

_POLL_SECONDS = 2.0
_DEADLINE_SECONDS = 360.0
_RETURN_SECONDS = 60.0
"""Kept for starting it as what it was."""
_MARGIN_SECONDS = 10.0


class TypeParams(Params):
    """The type it shall have."""

    instance_type: str = Field(
        min_length=1, max_length=60, description="a type of the resource's scaling.instance_types"
    )


class _Resize(Action[TypeParams]):
    """From one declared type to the one beside it."""

    params = TypeParams
    step: int
    """Where on the ladder of types it goes: 1 up, -1 down."""

    def admit(self, resource: Resource, params: TypeParams) -> TypeParams:
        """A declared type with another one beside it to come from."""
        provider_of(self.context, resource)
        types = resource.scaling.instance_types
        if params.instance_type not in types:
            known = ", ".join(types) or "none"
            raise NotAllowed("instance_type", f"{params.instance_type!r} is not declared (declared: {known})")
        self._former(resource, params)
        return params

    def render(self, resource: Resource, params: TypeParams) -> str:
        """The three API calls, in order."""
        provider = provider_of(self.context, resource)
        change = provider.render(resource, "set_instance_type", instance_type=params.instance_type)
        back = provider.render(resource, "set_instance_type", instance_type=self._former(resource, params))
        stop, start = provider.render(resource, "stop"), provider.render(resource, "start")
        return f"{stop}; once stopped: {change}; {start} (should that be refused: {back}; {start})"

    async def precondition(self, resource: Resource, params: TypeParams) -> str | None:
        """It runs, and has the type beside the wanted one."""
        status = await provider_of(self.context, resource).status(resource)
        former = self._former(resource, params)
        if status.instance_type != former:
            found = status.instance_type or "of a type the provider does not tell"
            return f"{named(resource)} is {found}, and only from {former} it may become {params.instance_type}"
        return must_be("running", status, resource)

    async def baseline(self, resource: Resource, params: TypeParams) -> dict[str, Any]:
        """The provider's state and launch time, and the time."""
        return {"at": self.context.clock.now().isoformat()} | await provider_baseline(self.context, resource)

    async def run(self, resource: Resource, params: TypeParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Stop, change, start, each only where it is not done yet."""
        provider = provider_of(self.context, resource)
        last_minute = first_started_at + timedelta(seconds=_DEADLINE_SECONDS - _MARGIN_SECONDS)
        give_up = last_minute - timedelta(seconds=_RETURN_SECONDS)
        status = await provider.status(resource)
        if self.context.clock.now() >= give_up:
            return ActionOutput("failed", "begun too late, after its deadline: nothing was asked for")
        told = [f"found {named(resource)} {status.state} as {status.instance_type}"]
        if status.state == "running" and status.instance_type == params.instance_type:
            return ActionOutput("succeeded", "; ".join(told))
        if status.state == "running":
            told.append(await provider.stop(resource, force=False))
        status = await self._until_stopped(provider, resource, status, give_up, told)
        if status.state != "stopped":
            told.append(f"still {status.state} when the time was over: its type was not changed")
            return ActionOutput("unknown", "; ".join(told))
        if await self._started_as(provider, resource, params.instance_type, give_up, told):
            return ActionOutput("succeeded", "; ".join(told))
        former = self._former(resource, params)
        if await self._started_as(provider, resource, former, last_minute, told):
            return ActionOutput("failed", "; ".join((*told, f"it was started as {former} again")))
        return ActionOutput("failed", "; ".join((*told, "it is stopped, and could not be started again")))

    async def _until_stopped(
        self, provider: Provider, resource: Resource, status: ProviderStatus, give_up: datetime, told: list[str]
    ) -> ProviderStatus:
        while self.context.clock.now() < give_up:
            try:
                status = await provider.status(resource)
            except ProviderError as error:
                # It has been told to stop: giving up on a passing error would leave it stopped.
                if not error.temporary:
                    told.append(str(error))
                    return status
            if status.state in ("stopped", "terminated", "shutting-down"):
                return status
            await self.context.clock.sleep(_POLL_SECONDS)
        return status

    async def _started_as(
        self, provider: Provider, resource: Resource, instance_type: str, give_up: datetime, told: list[str]
    ) -> bool:
        """Whether the stopped host could be started as that type. Both calls may be repeated while they are refused
        for now; a host that was started is no longer stopped, so its type is changed no more."""
        changed = False
        while True:
            try:
                if not changed:
                    told.append(await provider.set_instance_type(resource, instance_type=instance_type))
                    changed = True
                told.append(await provider.start(resource))
                return True
            except ProviderError as error:
                if not error.temporary or self.context.clock.now() >= give_up:
                    told.append(f"it could not be started as {instance_type}: {error}")
                    return False
            await self.context.clock.sleep(_POLL_SECONDS)

    async def probe(self, resource: Resource, params: TypeParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The provider's type, state and launch time. Found stopped, part of it is done: `no_effect`, as running it
        again is safe and does what is left."""
        status = await provider_of(self.context, resource).status(resource)
        said = f"the provider says {named(resource)} is {status.state} as {status.instance_type}"
        if status.state in ("running", "pending") and status.instance_type == params.instance_type:
            return Probe("took_effect", said)
        if status.state in ("running", "pending") and launched_anew(status, baseline):
            return Probe("took_effect", f"{said}, launched since: the new type could not be had", exit_status=1)
        if status.state == "stopped" and baseline.get("provider_state") == "running":
            found = Probe("no_effect", f"{said}: running this again does what is left")
        elif status.state == "running":
            found = Probe("no_effect", f"{said}, in the same launch as before")
        else:
            return Probe("unknown", said)
        return too_early(found, baseline, _DEADLINE_SECONDS, self.context.clock.now())

    def _former(self, resource: Resource, params: TypeParams) -> str:
        """The type it comes from. Raises NotAllowed where there is none beside."""
        types = resource.scaling.instance_types
        index = types.index(params.instance_type) - self.step
        if not 0 <= index < len(types):
            raise NotAllowed("instance_type", f"no declared type to come from lies beside {params.instance_type!r}")
        return types[index]


class ResizeInstance(_Resize):
    """Scale up by one declared type."""

    spec = ActionSpec(
        name="resize_instance",
        summary="stop the instance, give it the next larger declared type, start it",
        risk="disruptive",
        params=TypeParams,
        deadline_seconds=_DEADLINE_SECONDS,
        undone_by="shrink_instance",
    )
    step = 1

    def undo(self, resource: Resource, params: TypeParams) -> PlanStep:
        """Back to the type it came from."""
        return PlanStep(
            action="shrink_instance",
            params={"instance_type": self._former(resource, params)},
            why="the larger type did not help",
            expect="it is of the type it was of before",
        )


class ShrinkInstance(_Resize):
    """Takes a resize back: less CPU for what it serves, so never a repair of its own."""

    spec = ActionSpec(
        name="shrink_instance",
        summary="stop the instance, give it the next smaller declared type, start it: takes resize_instance back",
        risk="destructive",
        params=TypeParams,
        deadline_seconds=_DEADLINE_SECONDS,
    )
    step = -1
