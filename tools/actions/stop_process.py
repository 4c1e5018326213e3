"""Stop one process that runs away: politely first, then by force.

For a process without a unit that could be stopped. What a declared service runs is restarted instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, place
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.actions.process_guard import ProcessParams, functions, must_be_same
from tools.actions.protected_units import declared_services, is_protected, stem
from tools.clients.host import HostUnreachable
from tools.services import ManagerSilent, unit_states
from tools.services.units import sudo

GRACE_SECONDS = 10
_ON_HOST_SECONDS = 30
_FORCE_SECONDS = 5
_MOST_ANCESTORS = 64


class StopProcess(Action[ProcessParams]):
    """SIGTERM, and SIGKILL after a grace, to one pid whose start time and name are checked right before."""

    spec = ActionSpec(
        name="stop_process",
        summary="end one process that is no declared service's: SIGTERM, then SIGKILL",
        risk="disruptive",
        params=ProcessParams,
        deadline_seconds=45,
    )
    params = ProcessParams

    def render(self, resource: Resource, params: ProcessParams) -> str:
        """The whole shell line."""
        return f"{place(resource)}$ {self._command(resource, params)}"

    async def precondition(self, resource: Resource, params: ProcessParams) -> str | None:
        """It is that very process, of no declared service and no unit's main process that hosts need."""
        look = (
            f"{functions(params)}{must_be_same(params)}echo unit $(unit_of {params.pid}); "
            f'systemctl show -p MainPID -- "$(unit_of {params.pid})" 2>/dev/null; '
            f'at={params.pid}; n=0; while [ "$at" -gt 1 ] && [ $n -lt {_MOST_ANCESTORS} ]; do echo by $at; n=$((n+1)); '
            'line=$(cat /proc/$at/stat 2>/dev/null) || break; set -- ${line##*") "}; at=$2; done'
        )
        result = await self.context.hosts.run(resource, look)
        if not result.ok:
            return (result.stdout.strip() or result.stderr.strip() or "the host did not tell of the process")[:300]
        rows = [row.split() for row in result.stdout.splitlines()]
        unit = next((row[1] for row in rows if row[:1] == ["unit"] and len(row) > 1), "")
        ancestors = {int(row[1]) for row in rows if row[:1] == ["by"] and len(row) > 1 and row[1].isdigit()}
        if unit and is_protected(unit) and f"MainPID={params.pid}" in result.stdout.split():
            return f"process {params.pid} is the main process of {unit}, which the host needs"
        return await self._serves(resource, unit, ancestors)

    async def _serves(self, resource: Resource, unit: str, ancestors: set[int]) -> str | None:
        """Why not, where it works for a declared service, by its unit or as a child of its main process."""
        for owner, service in declared_services(resource, self.context.inventory):
            if unit and stem(service) == stem(unit):
                return f"it is a process of {service}, a declared service of {owner}: that is restarted instead"
        try:
            states = await unit_states(self.context.hosts, resource, resource.services)
        except ManagerSilent as error:
            return str(error)
        for state in states.values():
            if state.main_pid in ancestors:
                return f"it is a process of {state.unit}, a declared service: that is restarted instead"
        return None

    async def baseline(self, resource: Resource, params: ProcessParams) -> dict[str, Any]:
        """Whether it is there."""
        try:
            return {"there": await self._there(resource, params)}
        except HostUnreachable as error:
            return {"there": None, "unknown": str(error)}

    async def run(
        self, resource: Resource, params: ProcessParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """Claim, make sure of the process and signal it, in one command."""
        return await run_claimed(self.context, resource, key, self._command(resource, params), _ON_HOST_SECONDS)

    async def probe(self, resource: Resource, params: ProcessParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, whether the process is gone."""
        claim = await claim_of(self.context, resource, key)
        if proven := probe_of_claim(claim, resource):
            return proven
        if await self._there(resource, params):
            return Probe("unknown", f"begun, without an exit status, and process {params.pid} is still there")
        if baseline.get("there"):
            return Probe("took_effect", f"begun, without an exit status; but process {params.pid} is gone")
        return Probe("unknown", f"begun, without an exit status; process {params.pid} is not there")

    async def _there(self, resource: Resource, params: ProcessParams) -> bool:
        result = await self.context.hosts.run(resource, f"{functions(params)}same && echo there || echo gone")
        return result.stdout.strip() == "there"

    def _command(self, resource: Resource, params: ProcessParams) -> str:
        kill = f"{sudo(resource)}kill -s"
        return (
            f"{functions(params)}{must_be_same(params)}{kill} TERM -- {params.pid} || exit; "
            f"n=0; while same && [ $n -lt {GRACE_SECONDS} ]; do sleep 1; n=$((n+1)); done; by=SIGTERM; "
            f"if same; then by=SIGKILL; {kill} KILL -- {params.pid} || exit; n=0; "
            f"while same && [ $n -lt {_FORCE_SECONDS} ]; do sleep 1; n=$((n+1)); done; fi; "
            f'if same; then echo "process {params.pid} is still there after SIGKILL"; exit 1; fi; '
            f'echo "process {params.pid} ended by $by"'
        )
