"""What restarting and starting a service have in common: one declared unit, one claimed command, one proof.

The proof is the unit's own run: systemd's invocation id, or pid and start time. If it differs from the baseline's, the
unit was started anew.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, NotAllowed, Params, place
from tools.actions.boots import boot_baseline
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.clients.host import HostUnreachable
from tools.services.manager import ServiceManager, UnitState, UnknownUnit
from tools.services.status import ManagerSilent, manager_for, unit_states
from tools.services.units import declared

DEADLINE_SECONDS = 75.0
_ON_HOST_SECONDS = 60


class ServiceParams(Params):
    """Which service: as the resource declares it."""

    unit: str = Field(min_length=1, max_length=255, description="one of the resource's declared services")


class OnService(Action[ServiceParams]):
    """One command of the service manager on one declared unit."""

    params = ServiceParams

    @abstractmethod
    def command(self, manager: ServiceManager, unit: str) -> str:
        """The shell line that does it."""

    @abstractmethod
    def objection(self, state: UnitState) -> str | None:
        """Why it makes no sense for a unit in this state, or None."""

    def admit(self, resource: Resource, params: ServiceParams) -> ServiceParams:
        """The unit as the resource declares it."""
        try:
            return ServiceParams(unit=declared(resource, params.unit, manager_for(resource)))
        except UnknownUnit as error:
            raise NotAllowed("unit", str(error)) from error

    def render(self, resource: Resource, params: ServiceParams) -> str:
        """`selfheal@10.0.0.5:22$ systemctl …`."""
        return f"{place(resource)}$ {self.command(manager_for(resource), params.unit)}"

    async def precondition(self, resource: Resource, params: ServiceParams) -> str | None:
        """The manager knows the unit, and its state calls for this."""
        try:
            state = await self._state(resource, params.unit)
        except ManagerSilent as error:
            return str(error)
        if state.state == "not_found":
            return f"{params.unit} is not known to {resource.service_manager.name} on {resource.key}"
        return self.objection(state)

    async def baseline(self, resource: Resource, params: ServiceParams) -> dict[str, Any]:
        """The unit's state and run, and the host's boot."""
        found = await boot_baseline(self.context.hosts, resource, self.context.clock.now())
        try:
            state = await self._state(resource, params.unit)
        except (HostUnreachable, ManagerSilent) as error:
            return found | {"state": None, "run": None, "state_unknown": str(error)}
        return found | {"state": state.state, "run": state.run_id}

    async def run(
        self, resource: Resource, params: ServiceParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """Claim and act on the host in one command."""
        command = self.command(manager_for(resource), params.unit)
        return await run_claimed(self.context, resource, key, command, _ON_HOST_SECONDS)

    async def probe(self, resource: Resource, params: ServiceParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, the unit's run."""
        claim = await claim_of(self.context, resource, key)
        if proven := probe_of_claim(claim, resource):
            return proven
        try:
            state = await self._state(resource, params.unit)
        except ManagerSilent as error:
            return Probe("unknown", f"begun, without an exit status; {error}")
        if baseline.get("state") is not None and state.run_id is not None and state.run_id != baseline.get("run"):
            return Probe("took_effect", f"begun, without an exit status; but {state}, in a new run since")
        return Probe("unknown", f"begun, without an exit status, and no new run of the unit is seen: {state}")

    async def _state(self, resource: Resource, unit: str) -> UnitState:
        return (await unit_states(self.context.hosts, resource, [unit]))[unit]
