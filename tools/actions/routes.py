"""Add the declared default route where it is missing, and undo it."""

from __future__ import annotations

from ipaddress import ip_address

from graph.kind import ActionSpec
from graph.records import PlanStep, Resource
from tools.actions.action import NotAllowed
from tools.actions.on_network import DEADLINE_SECONDS, OnNetwork
from tools.actions.on_provider import NoParams
from tools.clients.host import HostUnreachable
from tools.network.told import default_gateways
from tools.services.units import sudo


class _OnRoute(OnNetwork[NoParams]):
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """Only where a gateway is declared, which is an address."""
        try:
            ip_address(resource.network.gateway or "")
        except ValueError as error:
            raise NotAllowed("action", f"{resource.key} needs an address as network.gateway: {error}") from error
        return params

    async def gateways(self, resource: Resource) -> list[str]:
        """Where everything else goes now. Raises HostUnreachable."""
        found = default_gateways(await self.ask(resource, "ip -j route show"))
        if found is None:
            raise HostUnreachable(f"{resource.key}: did not tell its routes", "closed")
        return found


class AddRoute(_OnRoute):
    """Lasts until the network is set up anew, which then brings it by itself or not at all."""

    spec = ActionSpec(
        name="add_route",
        summary="add the declared default route",
        risk="low",
        params=NoParams,
        deadline_seconds=DEADLINE_SECONDS,
        undone_by="remove_route",
    )

    def command(self, resource: Resource, params: NoParams) -> str:
        return f"{sudo(resource)}ip route add default via {resource.network.gateway}"

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """There is no default route, declared or other."""
        found = await self.gateways(resource)
        return f"there is a default route already, by {', '.join(found)}" if found else None

    async def in_effect(self, resource: Resource, params: NoParams) -> bool:
        return resource.network.gateway in await self.gateways(resource)

    def undo(self, resource: Resource, params: NoParams) -> PlanStep | None:
        return PlanStep(action="remove_route", why="the route did not help", expect="routes are as they were")


class RemoveRoute(_OnRoute):
    """Undoes `add_route`."""

    spec = ActionSpec(
        name="remove_route",
        summary="remove the declared default route again",
        risk="disruptive",
        params=NoParams,
        deadline_seconds=DEADLINE_SECONDS,
    )

    def command(self, resource: Resource, params: NoParams) -> str:
        return f"{sudo(resource)}ip route del default via {resource.network.gateway}"

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """It is there."""
        there = resource.network.gateway in await self.gateways(resource)
        return None if there else f"there is no default route by {resource.network.gateway}"

    async def in_effect(self, resource: Resource, params: NoParams) -> bool:
        return resource.network.gateway not in await self.gateways(resource)
