"""Start again a unit that we have stopped: the undo of `stop_unit`, and good for nothing else.

Hosts have units that nobody should start (a debug shell, a reboot). So only what the host remembers as stopped by us is
started.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, NotAllowed, Params, place
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.actions.protected_units import STOPPABLE, objection_to
from tools.actions.stop_unit import stopped_mark
from tools.clients.host import HostUnreachable
from tools.services.units import sudo

_ON_HOST_SECONDS = 60


class StartUnitParams(Params):
    """A unit that stop_unit has stopped."""

    unit: str = Field(min_length=1, max_length=255, description="a unit that stop_unit has stopped on this host")


class StartUnit(Action[StartUnitParams]):
    """Refuses what we have not stopped."""

    spec = ActionSpec(
        name="start_unit",
        summary="start again a unit that stop_unit has stopped",
        risk="disruptive",
        params=StartUnitParams,
        deadline_seconds=75,
    )
    params = StartUnitParams

    def admit(self, resource: Resource, params: StartUnitParams) -> StartUnitParams:
        """What could not have been stopped can't be started."""
        if not re.fullmatch(STOPPABLE, params.unit):
            raise NotAllowed("unit", f"{params.unit!r} is no service that stop_unit would stop")
        if objection := objection_to(params.unit, resource, self.context.inventory):
            raise NotAllowed("unit", objection)
        return params

    def render(self, resource: Resource, params: StartUnitParams) -> str:
        """`selfheal@10.0.0.5:22$ …`."""
        return f"{place(resource)}$ {self._command(resource, params)}"

    async def precondition(self, resource: Resource, params: StartUnitParams) -> str | None:
        """We have stopped it, and it does not run."""
        look = f"[ -f {stopped_mark(self.context, resource, params.unit)} ] && echo stopped by us"
        result = await self.context.hosts.run(resource, look)
        if result.stdout.strip() != "stopped by us":
            return f"{params.unit} was not stopped by us on {place(resource)}: not started"
        state = await self._state(resource, params)
        return f"{params.unit} runs already" if state.get("ActiveState") == "active" else None

    async def baseline(self, resource: Resource, params: StartUnitParams) -> dict[str, Any]:
        """The unit's state and run."""
        try:
            return await self._state(resource, params)
        except HostUnreachable as error:
            return {"ActiveState": None, "unknown": str(error)}

    async def run(
        self, resource: Resource, params: StartUnitParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """Claim and start in one command."""
        return await run_claimed(self.context, resource, key, self._command(resource, params), _ON_HOST_SECONDS)

    async def probe(self, resource: Resource, params: StartUnitParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, the unit's run."""
        claim = await claim_of(self.context, resource, key)
        if proven := probe_of_claim(claim, resource):
            return proven
        state = await self._state(resource, params)
        if state.get("ActiveState") == "active" and state.get("InvocationID") != baseline.get("InvocationID"):
            return Probe("took_effect", f"begun, without an exit status; but {params.unit} runs")
        return Probe("unknown", f"begun, without an exit status; {params.unit} is {state.get('ActiveState')}")

    async def _state(self, resource: Resource, params: StartUnitParams) -> dict[str, Any]:
        look = f"systemctl show -p ActiveState,InvocationID -- {shlex.quote(params.unit)}"
        result = await self.context.hosts.run(resource, look)
        return dict(row.partition("=")[::2] for row in result.stdout.splitlines() if "=" in row)

    def _command(self, resource: Resource, params: StartUnitParams) -> str:
        mark = stopped_mark(self.context, resource, params.unit)
        return f"[ -f {mark} ] && {sudo(resource)}systemctl start {shlex.quote(params.unit)} && rm -f {mark}"
