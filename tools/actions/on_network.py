"""What repairs of a host's network have in common: one claimed command, and a look whether its effect is there.

The command may cut the very connection that it came by. It runs in a session of its own, and what became of it is asked
afterwards over a new one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, Params, place
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.clients.host import HostUnreachable

DEADLINE_SECONDS = 45.0
ON_HOST_SECONDS = 30
LOOK_SECONDS = 6.0

P = TypeVar("P", bound=Params)


class OnNetwork(Action[P]):
    """One command on the host, whose effect can be seen there."""

    @abstractmethod
    def command(self, resource: Resource, params: P) -> str:
        """The shell line that does it."""

    @abstractmethod
    async def in_effect(self, resource: Resource, params: P) -> bool:
        """Whether the host is as this leaves it. Raises HostUnreachable."""

    def render(self, resource: Resource, params: P) -> str:
        """`selfheal@10.0.0.5:22$ …`."""
        return f"{place(resource)}$ {self.command(resource, params)}"

    async def baseline(self, resource: Resource, params: P) -> dict[str, Any]:
        """Whether it is so already."""
        try:
            return {"in_effect": await self.in_effect(resource, params)}
        except HostUnreachable as error:
            return {"in_effect": None, "unknown": str(error)}

    async def run(self, resource: Resource, params: P, key: str, first_started_at: datetime) -> ActionOutput:
        """Claim and act on the host in one command."""
        return await run_claimed(self.context, resource, key, self.command(resource, params), ON_HOST_SECONDS)

    async def probe(self, resource: Resource, params: P, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, the host."""
        claim = await claim_of(self.context, resource, key)
        if proven := probe_of_claim(claim, resource):
            return proven
        if await self.in_effect(resource, params) and baseline.get("in_effect") is False:
            return Probe("took_effect", "begun, without an exit status; but the host is now as this leaves it")
        return Probe("unknown", "begun, without an exit status, and its effect is not seen")

    async def ask(self, resource: Resource, command: str) -> str:
        """What the host says to a command that changes nothing. Raises HostUnreachable."""
        return (await self.context.hosts.run(resource, command, LOOK_SECONDS)).stdout
