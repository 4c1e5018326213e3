"""Start an instance that is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action
from tools.actions.fencing import brings_back_a_primary
from tools.actions.on_provider import NoParams, must_be, named, provider_baseline, provider_of, too_early


class StartInstance(Action[NoParams]):
    """Returns as soon as the provider has taken it; a `wait` step waits for the host."""

    spec = ActionSpec(
        name="start_instance",
        summary="start a stopped instance through its provider",
        risk="disruptive",
        params=NoParams,
        deadline_seconds=45.0,
    )
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """Needs a provider."""
        provider_of(self.context, resource)
        return params

    def render(self, resource: Resource, params: NoParams) -> str:
        """The API call."""
        return provider_of(self.context, resource).render(resource, "start")

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """The provider says that it is stopped, and it was not stopped to keep an old primary away."""
        status = await provider_of(self.context, resource).status(resource)
        return must_be("stopped", status, resource) or await brings_back_a_primary(self.context, resource)

    async def baseline(self, resource: Resource, params: NoParams) -> dict[str, Any]:
        """The provider's state and the time."""
        return {"at": self.context.clock.now().isoformat()} | await provider_baseline(self.context, resource)

    async def run(self, resource: Resource, params: NoParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Starting one that runs already changes nothing, so this may be repeated."""
        return ActionOutput("succeeded", await provider_of(self.context, resource).start(resource))

    async def probe(self, resource: Resource, params: NoParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The provider's state."""
        state = (await provider_of(self.context, resource).status(resource)).state
        said = f"the provider says {named(resource)} is {state}"
        if state in ("running", "pending"):
            return Probe("took_effect", said)
        if state != "stopped":
            return Probe("unknown", said)
        return too_early(Probe("no_effect", said), baseline, self.spec.deadline_seconds, self.context.clock.now())
