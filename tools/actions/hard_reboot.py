"""Stop an instance by force and start it again: for a host that a soft reboot did not bring back.

One declared action, two API calls, and a process may die between them. So `run` goes by what it finds: it stops what
runs, waits for what stops, starts what is stopped. A run that died in between is begun again and then only starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action
from tools.actions.on_provider import (
    NoParams,
    launched_anew,
    must_be,
    named,
    provider_baseline,
    provider_of,
    too_early,
)
from tools.clients.providers.provider import InstanceState, Provider, ProviderError

_POLL_SECONDS = 2.0
_DEADLINE_SECONDS = 180.0
_MARGIN_SECONDS = 10.0


class HardReboot(Action[NoParams]):
    """Loses what the host had not written to disk: destructive."""

    spec = ActionSpec(
        name="hard_reboot",
        summary="stop the instance by force through its provider, then start it",
        risk="destructive",
        params=NoParams,
        deadline_seconds=_DEADLINE_SECONDS,
    )
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """Needs a provider."""
        provider_of(self.context, resource)
        return params

    def render(self, resource: Resource, params: NoParams) -> str:
        """Both API calls, in order."""
        provider = provider_of(self.context, resource)
        stop, start = provider.render(resource, "force_stop"), provider.render(resource, "start")
        return f"{stop}; once stopped: {start}"

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """The provider says that it runs: one that somebody has stopped is not ours to start here."""
        return must_be("running", await provider_of(self.context, resource).status(resource), resource)

    async def baseline(self, resource: Resource, params: NoParams) -> dict[str, Any]:
        """The provider's state and launch time, and the time."""
        return {"at": self.context.clock.now().isoformat()} | await provider_baseline(self.context, resource)

    async def run(self, resource: Resource, params: NoParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Stop what runs, wait for what stops, start what is stopped."""
        provider = provider_of(self.context, resource)
        give_up = first_started_at + timedelta(seconds=_DEADLINE_SECONDS - _MARGIN_SECONDS)
        state = (await provider.status(resource)).state
        if self.context.clock.now() >= give_up:
            # A worker that was paused here must not stop what another has meanwhile started.
            return ActionOutput("failed", "begun too late, after its deadline: nothing was asked for")
        told = [f"found {named(resource)} {state}"]
        if state == "running":
            told.append(await provider.stop(resource, force=True))
        state = await self._until_stopped(provider, resource, give_up, told)
        if state != "stopped":
            told.append(f"still {state} when the time was over: not started")
            return ActionOutput("unknown", "; ".join(told))
        return await self._start(provider, resource, give_up, told)

    async def _until_stopped(
        self, provider: Provider, resource: Resource, give_up: datetime, told: list[str]
    ) -> InstanceState:
        state: InstanceState = "unknown"
        while self.context.clock.now() < give_up:
            try:
                state = (await provider.status(resource)).state
            except ProviderError as error:
                # It has been told to stop: giving up on a passing error would leave it stopped.
                if not error.temporary:
                    told.append(str(error))
                    return "unknown"
            if state in ("stopped", "terminated", "shutting-down"):
                return state
            await self.context.clock.sleep(_POLL_SECONDS)
        return state

    async def _start(self, provider: Provider, resource: Resource, give_up: datetime, told: list[str]) -> ActionOutput:
        """Start what is stopped. Starting twice does no more than once, so a passing refusal is asked again."""
        while True:
            try:
                told.append(await provider.start(resource))
                return ActionOutput("succeeded", "; ".join(told))
            except ProviderError as error:
                if not error.temporary or self.context.clock.now() >= give_up:
                    told.append(f"it is stopped now, but starting it failed: {error}")
                    return ActionOutput("failed", "; ".join(told))
            await self.context.clock.sleep(_POLL_SECONDS)

    async def probe(self, resource: Resource, params: NoParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The provider's state and launch time against the baseline's.

        Found stopped, the first half is done and the second is not: `no_effect`, since running it again is safe and
        then only starts.
        """
        status = await provider_of(self.context, resource).status(resource)
        said = f"the provider says {named(resource)} is {status.state}"
        if status.state in ("running", "pending") and launched_anew(status, baseline):
            return Probe("took_effect", f"{said}, launched since")
        if status.state == "stopped" and baseline.get("provider_state") == "running":
            found = Probe("no_effect", f"{said}: it was stopped and not yet started; running this again only starts it")
        elif status.state == "running" and baseline.get("launched_at"):
            found = Probe("no_effect", f"{said}, in the same launch as before")
        else:
            return Probe("unknown", said)
        return too_early(found, baseline, _DEADLINE_SECONDS, self.context.clock.now())
