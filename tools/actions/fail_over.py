"""Move the traffic of a lost host to its declared standby, by a floating address or a load balancer's targets.

What is lost is left as it is: this is judged by what clients reach, not by the host.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graph.kind import ActionSpec, touches_host
from graph.ports import ActionOutput, PermanentError, Probe
from graph.records import PlanStep, Resource
from graph.resources import Failover
from tools.actions.action import Action
from tools.actions.on_provider import NoParams, provider_of, too_early
from tools.actions.standby import answers, not_fit, standby_of
from tools.clients.providers.provider import ProviderError

_DEADLINE_SECONDS = 60.0


class _MoveTraffic(Action[NoParams]):
    """From one instance to another: which is which, subclasses say."""

    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """A declared standby of the same provider."""
        provider_of(self.context, resource)
        standby_of(self.context, resource)
        return params

    def touches(self, resource: Resource, params: NoParams) -> tuple[str, ...]:
        """Both machines: the standby must not be rebooted while traffic is moved to it."""
        standby = self.context.inventory.get(f"{resource.kind}/{resource.failover.to}") if resource.failover else None
        return (*touches_host(resource), *((standby.host_key,) if standby else ()))

    @abstractmethod
    def ends(self, resource: Resource) -> tuple[str, str]:
        """The instances that traffic is moved from and to."""

    def render(self, resource: Resource, params: NoParams) -> str:
        """The API call, or both."""
        provider, way = provider_of(self.context, resource), _way(resource)
        old, new = self.ends(resource)
        if way.allocation_id:
            return provider.render(resource, "move_address", allocation_id=way.allocation_id, to_instance=new)
        target = {"target_group": way.target_group, "port": way.port}
        first = provider.render(resource, "register_target", instance_id=new, **target)
        return f"{first}; {provider.render(resource, 'deregister_target', instance_id=old, **target)}"

    async def baseline(self, resource: Resource, params: NoParams) -> dict[str, Any]:
        """`served_by`: the instances traffic goes to, None where the provider does not tell; and the time."""
        at = {"at": self.context.clock.now().isoformat()}
        try:
            return at | {"served_by": sorted(await self._served_by(resource))}
        except ProviderError as error:
            return at | {"served_by": None, "unknown": str(error)}

    async def run(self, resource: Resource, params: NoParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Moving what was moved already changes nothing, so this may be repeated. The new target comes first: traffic
        is never left without one."""
        provider, way = provider_of(self.context, resource), _way(resource)
        old, new = self.ends(resource)
        if way.allocation_id:
            said = await provider.move_address(resource, allocation_id=way.allocation_id, to_instance=new)
            return ActionOutput("succeeded", said)
        group = way.target_group or ""
        told = [await provider.register_target(resource, target_group=group, instance_id=new, port=way.port)]
        try:
            told.append(
                await provider.deregister_target(resource, target_group=group, instance_id=old, port=way.port)
            )  # fmt: skip
        except ProviderError as error:
            return ActionOutput("unknown", "; ".join((*told, f"but {old} may still be a target: {error}")))
        return ActionOutput("succeeded", "; ".join(told))

    async def probe(self, resource: Resource, params: NoParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Where traffic goes now. Half moved targets are `no_effect`: running it again does what is left."""
        served_by = await self._served_by(resource)
        old, new = self.ends(resource)
        said = f"traffic goes to {', '.join(sorted(served_by)) or 'nobody'}"
        if new in served_by and old not in served_by:
            return Probe("took_effect", said)
        return too_early(Probe("no_effect", said), baseline, _DEADLINE_SECONDS, self.context.clock.now())

    async def _served_by(self, resource: Resource) -> set[str]:
        provider, way = provider_of(self.context, resource), _way(resource)
        if way.allocation_id:
            instance = (await provider.address(resource, allocation_id=way.allocation_id)).instance_id
            return {instance} if instance else set()
        targets = await provider.targets(resource, target_group=way.target_group or "")
        return {target.instance_id for target in targets if target.health != "draining"}


class FailOver(_MoveTraffic):
    """Only from a resource that does not answer, to a standby that does."""

    spec = ActionSpec(
        name="fail_over",
        summary="move the traffic to the declared standby, by floating address or load balancer",
        risk="disruptive",
        params=NoParams,
        deadline_seconds=_DEADLINE_SECONDS,
        judged_by="traffic",
        undone_by="fail_back",
    )

    def ends(self, resource: Resource) -> tuple[str, str]:
        """From the resource's instance to the standby's."""
        return resource.provider.instance_id or "", standby_of(self.context, resource).provider.instance_id or ""

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """Traffic goes to this resource, which does not answer, and its standby could take it."""
        served_by = await self._served_by(resource)
        old, _ = self.ends(resource)
        if old not in served_by:
            return f"the traffic goes to {', '.join(sorted(served_by)) or 'nobody'}, not to {old}: nothing to move away"
        if await answers(self.context, resource):
            return f"{resource.key} answers: its traffic stays"
        return await not_fit(self.context, standby_of(self.context, resource))

    def undo(self, resource: Resource, params: NoParams) -> PlanStep:
        """Move it back."""
        return PlanStep(
            action="fail_back",
            why="moving the traffic away did not help",
            expect="the traffic goes where it went before",
        )


class FailBack(_MoveTraffic):
    """Takes fail_over back, or ends it once the resource is well again."""

    spec = ActionSpec(
        name="fail_back",
        summary="move the traffic from the standby back to the resource: takes fail_over back",
        risk="disruptive",
        params=NoParams,
        deadline_seconds=_DEADLINE_SECONDS,
        judged_by="traffic",
    )

    def ends(self, resource: Resource) -> tuple[str, str]:
        """From the standby's instance to the resource's."""
        return standby_of(self.context, resource).provider.instance_id or "", resource.provider.instance_id or ""

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """Never away from what answers to what does not."""
        served_by = await self._served_by(resource)
        old, _ = self.ends(resource)
        if old not in served_by:
            return f"the traffic goes to {', '.join(sorted(served_by)) or 'nobody'}, not to the standby"
        if not await self.context.hosts.answers(resource):
            standby = standby_of(self.context, resource)
            if await not_fit(self.context, standby) is None:
                return f"{resource.key} does not answer and {standby.key} does: the traffic stays there"
        return None


def _way(resource: Resource) -> Failover:
    if resource.failover is None:
        raise PermanentError(f"{resource.key} declares no failover")
    return resource.failover
