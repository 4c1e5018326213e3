"""Open a port in a security group again, exactly as the resource declares it, or close it.

Only a declared rule of a declared group, and only where it is missing now: nothing else is ever let in. That is why it
is `low`: it disturbs nothing that runs, and gives nobody more than the operator has written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from graph.kind import ActionSpec, touches_host
from graph.ports import ActionOutput, Probe
from graph.records import PlanStep, Resource
from graph.resources import Ingress
from tools.actions.action import Action, NotAllowed, Params
from tools.actions.on_provider import provider_of, too_early
from tools.clients.providers.provider import ProviderError

_DEADLINE_SECONDS = 45.0


class IngressParams(Params):
    """One inbound rule of one group."""

    group_id: str = Field(min_length=1, max_length=120, description="one of the resource's security_groups")
    protocol: Literal["tcp", "udp"] = "tcp"
    port: int = Field(ge=1, le=65535, description="the port of a declared rule")
    cidr: str = Field(min_length=1, max_length=60, description="from where, as declared")

    @property
    def rule(self) -> Ingress:
        return Ingress(protocol=self.protocol, port=self.port, cidr=self.cidr)


def touches_groups(resource: Resource) -> tuple[str, ...]:
    """The groups too, which other resources may share."""
    return (*touches_host(resource), *(f"security-group/{group.id}" for group in resource.security_groups))


class _ChangeIngress(Action[IngressParams]):
    params = IngressParams
    opens: bool

    def admit(self, resource: Resource, params: IngressParams) -> IngressParams:
        """A declared rule of a declared group."""
        provider_of(self.context, resource)
        group = next((item for item in resource.security_groups if item.id == params.group_id), None)
        if group is None:
            known = ", ".join(item.id for item in resource.security_groups) or "none"
            raise NotAllowed("group_id", f"{params.group_id!r} is no declared group (declared: {known})")
        if params.rule not in group.ingress:
            known = ", ".join(map(str, group.ingress)) or "none"
            raise NotAllowed("port", f"{params.rule} is no declared rule of {group.id} (declared: {known})")
        return params

    def render(self, resource: Resource, params: IngressParams) -> str:
        """The API call."""
        call: Literal["allow_ingress", "revoke_ingress"] = "allow_ingress" if self.opens else "revoke_ingress"
        provider = provider_of(self.context, resource)
        return provider.render(resource, call, group_id=params.group_id, rule=params.rule)

    async def precondition(self, resource: Resource, params: IngressParams) -> str | None:
        """Opening: nothing of the group allows it now. Closing: something does."""
        allowed = await self._allowed(resource, params)
        if allowed == self.opens:
            return f"{params.group_id} {'allows' if allowed else 'does not allow'} {params.rule} as it is"
        return None

    async def baseline(self, resource: Resource, params: IngressParams) -> dict[str, Any]:
        """`allowed`, None where the provider does not tell, and the time."""
        at = {"at": self.context.clock.now().isoformat()}
        try:
            return at | {"allowed": await self._allowed(resource, params)}
        except ProviderError as error:
            return at | {"allowed": None, "unknown": str(error)}

    async def run(
        self, resource: Resource, params: IngressParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """One call; the provider refuses to do it twice."""
        provider = provider_of(self.context, resource)
        change = provider.allow_ingress if self.opens else provider.revoke_ingress
        return ActionOutput("succeeded", await change(resource, group_id=params.group_id, rule=params.rule))

    async def probe(self, resource: Resource, params: IngressParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Whether the group allows it now."""
        allowed = await self._allowed(resource, params)
        said = f"{params.group_id} {'allows' if allowed else 'does not allow'} {params.rule}"
        if allowed == self.opens:
            return Probe("took_effect", said)
        return too_early(Probe("no_effect", said), baseline, _DEADLINE_SECONDS, self.context.clock.now())

    async def _allowed(self, resource: Resource, params: IngressParams) -> bool:
        provider = provider_of(self.context, resource)
        groups = await provider.security_groups(resource, ids=[params.group_id])
        return any(group.allows(params.rule) for group in groups)


class AllowIngress(_ChangeIngress):
    """Adds a declared rule that is missing."""

    spec = ActionSpec(
        name="allow_ingress",
        summary="add a declared inbound rule that is missing to a declared security group",
        risk="low",
        params=IngressParams,
        deadline_seconds=_DEADLINE_SECONDS,
        touches=touches_groups,
        undone_by="revoke_ingress",
    )
    opens = True

    def undo(self, resource: Resource, params: IngressParams) -> PlanStep:
        """Remove exactly that rule."""
        return PlanStep(
            action="revoke_ingress",
            params=params.model_dump(mode="json"),
            why="opening it did not help",
            expect="the group is as it was before",
        )


class RevokeIngress(_ChangeIngress):
    """Takes allow_ingress back. It cuts clients off, so never a repair of its own."""

    spec = ActionSpec(
        name="revoke_ingress",
        summary="remove an inbound rule from a security group: takes allow_ingress back",
        risk="destructive",
        params=IngressParams,
        deadline_seconds=_DEADLINE_SECONDS,
        touches=touches_groups,
    )
    opens = False
