"""Stop a unit that runs away and is none of the declared services: a batch job gone wild, a stranger on a port.

It is named together with the process by which it was found, so that only a unit that still holds that very process is
stopped.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import PlanStep, Resource
from tools.actions.action import Action, ActionContext, NotAllowed, place
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.actions.claims import marker_root
from tools.actions.process_guard import ProcessParams, functions, must_be_same
from tools.actions.protected_units import objection_to, stem
from tools.clients.host import HostUnreachable
from tools.services.units import sudo

_ON_HOST_SECONDS = 60
_STOP_SECONDS = 45


class StopUnitParams(ProcessParams):
    """The unit, and the process by which it was found."""

    unit: str = Field(min_length=1, max_length=255, description="the unit's full name, as NAME.service")
    transient: bool = Field(default=False, description="whether it has no file and so can't be started again")


class StopUnit(Action[StopUnitParams]):
    """`systemctl stop`. A unit with a file of its own can be started again; a transient one is gone."""

    spec = ActionSpec(
        name="stop_unit",
        summary="stop a unit that is no declared service and nothing the host needs",
        risk="disruptive",
        params=StopUnitParams,
        deadline_seconds=75,
        undone_by="start_unit",
    )
    params = StopUnitParams

    def admit(self, resource: Resource, params: StopUnitParams) -> StopUnitParams:
        """No declared service, of this resource or of another on its machine, and nothing protected."""
        if objection := objection_to(params.unit, resource, self.context.inventory):
            raise NotAllowed("unit", objection)
        return params

    def render(self, resource: Resource, params: StopUnitParams) -> str:
        """The whole shell line."""
        return f"{place(resource)}$ {self._command(resource, params)}"

    async def precondition(self, resource: Resource, params: StopUnitParams) -> str | None:
        """It runs, holds the process, is what it was taken for, and no declared service needs it."""
        unit = shlex.quote(params.unit)
        look = (
            f"{functions(params)}{must_be_same(params)}{_must_hold(params)}"
            f"systemctl show -p LoadState,ActiveState,Transient,RequiredBy,BoundBy,RequisiteOf -- {unit}"
        )
        result = await self.context.hosts.run(resource, look)
        if not result.ok:
            return (result.stdout.strip() or result.stderr.strip() or "the host did not tell of the unit")[:300]
        shown = dict(row.partition("=")[::2] for row in result.stdout.splitlines())
        if shown.get("LoadState") != "loaded" or shown.get("ActiveState") not in ("active", "activating", "reloading"):
            return f"{params.unit} is {shown.get('LoadState')}, {shown.get('ActiveState')}: nothing to stop"
        if (shown.get("Transient") == "yes") != params.transient:
            return f"{params.unit} is {'' if shown.get('Transient') == 'yes' else 'not '}transient, unlike planned"
        needing = " ".join(shown.get(name, "") for name in ("RequiredBy", "BoundBy", "RequisiteOf")).split()
        needed = [service for service in resource.services if stem(service) in {stem(unit) for unit in needing}]
        return f"{needed[0]} needs {params.unit}: it is not stopped" if needed else None

    async def baseline(self, resource: Resource, params: StopUnitParams) -> dict[str, Any]:
        """The unit's state and run."""
        try:
            return await self._state(resource, params)
        except HostUnreachable as error:
            return {"ActiveState": None, "unknown": str(error)}

    async def run(
        self, resource: Resource, params: StopUnitParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """Claim, make sure and stop, in one command."""
        return await run_claimed(self.context, resource, key, self._command(resource, params), _ON_HOST_SECONDS)

    async def probe(self, resource: Resource, params: StopUnitParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, the unit's state."""
        claim = await claim_of(self.context, resource, key)
        if proven := probe_of_claim(claim, resource):
            return proven
        state = (await self._state(resource, params)).get("ActiveState", "")
        if baseline.get("ActiveState") == "active" and state in ("inactive", "failed", ""):
            return Probe("took_effect", f"begun, without an exit status; but {params.unit} is {state or 'gone'}")
        return Probe("unknown", f"begun, without an exit status; {params.unit} is {state}")

    def undo(self, resource: Resource, params: StopUnitParams) -> PlanStep | None:
        """Start it again, where it has a file to start from."""
        if params.transient:
            return None
        why = f"{params.unit} was not what ailed the host"
        return PlanStep(action="start_unit", params={"unit": params.unit}, why=why, expect=f"{params.unit} runs again")

    async def _state(self, resource: Resource, params: StopUnitParams) -> dict[str, Any]:
        look = f"systemctl show -p ActiveState,InvocationID -- {shlex.quote(params.unit)}"
        result = await self.context.hosts.run(resource, look)
        return dict(row.partition("=")[::2] for row in result.stdout.splitlines() if "=" in row)

    def _command(self, resource: Resource, params: StopUnitParams) -> str:
        unit, mark = shlex.quote(params.unit), stopped_mark(self.context, resource, params.unit)
        # Written before the stop: a mark too many only allows to start what runs.
        remember = f"mkdir -p {mark.rpartition('/')[0]} && : >{mark} || exit; " if not params.transient else ""
        return (
            f"{functions(params)}{must_be_same(params)}{_must_hold(params)}{remember}"
            f"timeout {_STOP_SECONDS} {sudo(resource)}systemctl stop {unit} || exit; "
            f'if same; then echo "process {params.pid} outlived its unit"; exit 1; fi; '
            f'echo "stopped {params.unit}"'
        )


def stopped_mark(context: ActionContext, resource: Resource, unit: str) -> str:
    """Where a host remembers that we have stopped this unit, as a shell word: only such a unit may be started again."""
    return f"{marker_root(resource, context.marker_root)}-stopped/{shlex.quote(unit)}"


def _must_hold(params: StopUnitParams) -> str:
    unit = shlex.quote(params.unit)
    return (
        f'held=$(unit_of {params.pid}); if [ "$held" != {unit} ]; then '
        f'echo "process {params.pid} is in ${{held:-no unit}}, not in {params.unit}: not stopped"; exit 6; fi; '
    )
