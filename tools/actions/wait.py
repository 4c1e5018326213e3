"""Give a host time, without holding a worker: each run looks once and says when to look again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, Params

_LOOK_EVERY_SECONDS = 2.0
_LOOK_SECONDS = 1.5


class WaitParams(Params):
    """How long at most, and for what."""

    seconds: int = Field(ge=1, le=900, description="the longest to wait")
    until: Literal["answers", "elapsed"] = Field(
        default="answers", description="until the host greets over SSH, or until the time is over"
    )


class Wait(Action[WaitParams]):
    """Ends well either way: whether the host is healthy is for the verification to say."""

    spec = ActionSpec(
        name="wait",
        summary="wait until the host answers over SSH, or for a time",
        risk="read_only",
        params=WaitParams,
        # Of one look: the whole wait is bounded by `seconds`.
        deadline_seconds=10.0,
        touches=lambda _resource: (),
    )
    params = WaitParams

    def render(self, resource: Resource, params: WaitParams) -> str:
        """What is waited for, in words."""
        if params.until == "elapsed":
            return f"wait {params.seconds} s"
        return f"wait until {resource.address} answers over {resource.transport}, {params.seconds} s at most"

    async def precondition(self, resource: Resource, params: WaitParams) -> str | None:
        """Waiting is always possible."""
        return None

    async def baseline(self, resource: Resource, params: WaitParams) -> dict[str, Any]:
        """Nothing changes, so there is nothing to compare."""
        return {}

    async def run(self, resource: Resource, params: WaitParams, key: str, first_started_at: datetime) -> ActionOutput:
        """One look. Never sleeps."""
        if params.until == "answers" and await self.context.hosts.answers(resource, _LOOK_SECONDS):
            waited = (self.context.clock.now() - first_started_at).total_seconds()
            return ActionOutput("succeeded", f"{resource.address} answers, after {max(0.0, waited):.0f} s")
        now = self.context.clock.now()
        over = first_started_at + timedelta(seconds=params.seconds)
        if now < over:
            left = (over - now).total_seconds()
            next_look = now + timedelta(seconds=_LOOK_EVERY_SECONDS) if params.until == "answers" else over
            return ActionOutput("pending", f"{left:.0f} s left at most", min(next_look, over))
        ended = f"{params.seconds} s are over"
        return ActionOutput(
            "succeeded",
            ended if params.until == "elapsed" else f"{ended}, and {resource.address} still does not answer",
        )

    async def probe(self, resource: Resource, params: WaitParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Waiting has no effect on the world."""
        return Probe("no_effect", "waiting changes nothing: it may go on")
