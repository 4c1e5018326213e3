"""Restart the unit whose process holds a deleted file open: its space is free only once nobody has it open.

The process is named by its id, start time and name, as ids are used again: what holds the file now may not be what was
seen. Only a declared service, or a unit that the resource lists for it, is ever restarted.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec
from graph.ports import Probe
from graph.records import Resource
from tools.actions.action import NotAllowed, Params
from tools.actions.freeing import DEADLINE_SECONDS, Freeing, Measured
from tools.actions.sweeping import escaped
from tools.services.manager import UnknownUnit
from tools.services.status import manager_for
from tools.services.units import declared, sudo

GONE = "is no longer the one that was seen"


class HolderParams(Params):
    """Which unit, and which of its processes was seen to hold the file."""

    unit: str = Field(min_length=1, max_length=255, description="a declared service or one of cleanup.restart_units")
    pid: int = Field(ge=2, description="the process that holds the deleted file")
    started: int = Field(ge=0, description="its start time, in ticks since boot (field 22 of /proc/PID/stat)")
    name: str = Field(min_length=1, max_length=64, description="its name (/proc/PID/comm)")


class RestartHolder(Freeing[HolderParams]):
    """One restart, and only while that very process still holds a deleted file."""

    spec = ActionSpec(
        name="restart_holder",
        summary="restart the unit whose process holds deleted files open",
        risk="disruptive",
        params=HolderParams,
        deadline_seconds=DEADLINE_SECONDS,
    )
    params = HolderParams

    def admit(self, resource: Resource, params: HolderParams) -> HolderParams:
        """The unit as the resource declares it."""
        widened = _widened(resource)
        try:
            unit = declared(widened, params.unit, manager_for(widened))
        except UnknownUnit as error:
            raise NotAllowed("unit", f"{error}; others are named in `cleanup.restart_units`") from error
        return params.model_copy(update={"unit": unit})

    def command(self, resource: Resource, params: HolderParams) -> str:
        widened = _widened(resource)
        return f"{_same_process(resource, params)}; {manager_for(widened).restart_command(params.unit)}"

    def measure(self, resource: Resource, params: HolderParams) -> str:
        held = f"{sudo(resource)}find -L /proc/[0-9]*/fd -maxdepth 1 -type f -printf '%D %i %n %b %p\\n' 2>/dev/null"
        mine = f'/^[0-9]+ [0-9]+ 0 [0-9]+ \\/proc\\/{params.pid}\\/fd\\// && !seen[$1 " " $2]++'
        return (
            f"{_same_process(resource, params)}; {held} | "
            f"awk '{mine} {{ n++; s += $4 }} END {{ printf \"deleted_open %d %d\\n\", n, s / 2 }}'"
        )

    def enough(self, found: Measured) -> str | None:
        return None if found.files else "the process holds no deleted file any more"

    async def probe(self, resource: Resource, params: HolderParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """As of all that frees space; and a process that is no more says as well that its unit was restarted."""
        probe = await super().probe(resource, params, key, baseline)
        if probe.effect == "unknown" and GONE in probe.observed and baseline.get("kib") is not None:
            return Probe("took_effect", f"begun, without an exit status; process {params.pid} {GONE}")
        return probe


def _same_process(resource: Resource, params: HolderParams) -> str:
    """Shell that ends with status 3 unless the process is still the one that was seen, in the unit that was named."""
    unit = manager_for(_widened(resource)).normalise(params.unit)
    in_unit = ""
    if resource.service_manager.name == "systemd":
        in_unit = f' && grep -q -E -- {shlex.quote(f"/{escaped(unit)}(/|$)")} "$f/cgroup"'
    return (
        f"f=/proc/{params.pid}; "
        f'[ "$(sed "s/.*) //" "$f/stat" | cut -d " " -f 20)" = {params.started} ] && '
        f'[ "$(cat "$f/comm")" = {shlex.quote(params.name)} ]{in_unit} || '
        f'{{ echo "refused: process {params.pid} {GONE}"; exit 3; }}'
    )


def _widened(resource: Resource) -> Resource:
    """The resource with the units that may be restarted for this alone among its services."""
    services = (*resource.services, *resource.cleanup.restart_units)
    return resource.model_copy(update={"services": services})
