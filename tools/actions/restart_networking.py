"""Restart the unit that sets the host's network up: links, addresses and routes come back as they are configured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, ActionContext, NotAllowed
from tools.actions.on_provider import NoParams
from tools.actions.on_service import DEADLINE_SECONDS, ServiceParams
from tools.actions.restart_service import RestartService


class RestartNetworking(Action[NoParams]):
    """A restart of `network.service` as of any declared unit: the same claim, command and proof."""

    spec = ActionSpec(
        name="restart_networking",
        summary="restart the unit that sets up links, addresses and routes",
        risk="disruptive",
        params=NoParams,
        deadline_seconds=DEADLINE_SECONDS,
    )
    params = NoParams

    def __init__(self, context: ActionContext) -> None:
        super().__init__(context)
        self._restart = RestartService(context)

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """Where the network is systemd's to set up, and not that of the machine we run on."""
        if resource.service_manager.name != "systemd":
            raise NotAllowed("action", f"{resource.key} has no systemd: its network is set up otherwise")
        if resource.transport == "local":
            raise NotAllowed("action", f"{resource.key} is the machine we run on: its network carries this repair")
        self._restart.admit(*_of_network(resource))
        return params

    def render(self, resource: Resource, params: NoParams) -> str:
        """`selfheal@10.0.0.5:22$ systemctl restart systemd-networkd.service`."""
        return self._restart.render(*_of_network(resource))

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """The unit exists there."""
        return await self._restart.precondition(*_of_network(resource))

    async def baseline(self, resource: Resource, params: NoParams) -> dict[str, Any]:
        """The unit's state and run, and the host's boot."""
        return await self._restart.baseline(*_of_network(resource))

    async def run(self, resource: Resource, params: NoParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Claim and act on the host in one command, which outlives our connection."""
        return await self._restart.run(*_of_network(resource), key, first_started_at)

    async def probe(self, resource: Resource, params: NoParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, the unit's run."""
        return await self._restart.probe(*_of_network(resource), key, baseline)


def _of_network(resource: Resource) -> tuple[Resource, ServiceParams]:
    """The resource as one whose only service is its network's."""
    unit = resource.network.service
    return resource.model_copy(update={"services": (unit,)}), ServiceParams(unit=unit)
