"""The kernel's log: which processes it killed for memory, and whether disks fail beneath the services."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from graph.facts import FactValue, fact_key
from graph.ports import Finding
from graph.records import Incident, Resource
from tools.evidence.context import (
    HOST_SECONDS,
    SOURCE_SECONDS,
    EvidenceContext,
    ago,
    asked_of,
    line,
    raw_of,
    resource_of,
    text_of,
)
from tools.evidence.kernel_log import PATTERN, KernelSigns, OomKill, kernel_signs
from tools.services import ServiceManager, UnitState, manager_for
from tools.services.units import sudo

_WINDOW_SECONDS = 3600.0
_SOONER_SECONDS = 3.0
_LATER_SECONDS = 15.0
"""A unit that may not restart any more is told as failed only when its next restart would be due."""
_KILLS_TOLD = 2
_STATUS_MARK = "-- units\n"


class DmesgSource:
    """Kernel log and unit states in one command, so that a kill and the end of a unit can be told to coincide.

    Where memory limits lie above the unit (a container's, the whole machine's), neither systemd nor the kernel names
    the unit that was killed; the moment does.
    """

    name = "dmesg"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts kernel.oom_kill{process} (pid), kernel.io_error, unit.oom_killed{unit}. Raises HostUnreachable."""
        resource = resource_of(incident)
        command = dmesg_command(resource)
        result = await self._context.hosts.run(resource, command, HOST_SECONDS)
        kernel, _, status = result.stdout.partition(_STATUS_MARK)
        head, _, log = kernel.partition("\n")
        if not head.startswith("readable "):
            why = line(head.removeprefix("refused: ") or result.stderr or "no answer")
            return Finding(asked_of(command), f"the kernel's log may not be read: {why}", status="no_data")
        uptime = _seconds(head.split()[1:2])
        init, _, log = log.partition("\n")
        # Containers share a kernel: what it killed before this host began was not here.
        signs = kernel_signs(log.splitlines(), max(uptime - _WINDOW_SECONDS, _host_began(init)))
        manager = manager_for(resource)
        states = manager.parse_status(status, resource.services) if resource.services else {}
        killed = killed_units(signs.kills, states, manager, uptime)
        return Finding(asked_of(command), _text(signs, killed, uptime), _facts(signs, killed), raw=raw_of(result))


def dmesg_command(resource: Resource) -> str:
    """`readable UPTIME`, a line of process 1 and the lines worth reading, or `refused: …`; then the units' state."""
    tries = [f"{sudo(resource)}dmesg"] + (["dmesg"] if sudo(resource) else [])
    reading = " || ".join(f"log=$({attempt} 2>&1)" for attempt in tries)
    shown = f"printf '%s\\n' \"$log\" | grep -E {shlex.quote(PATTERN)} | tail -n 60 | cut -c -400"
    kernel = (
        f'if {reading}; then echo "readable $(cat /proc/uptime)"; echo "$(getconf CLK_TCK) $(cat /proc/1/stat)"; '
        f"{shown}; "
        "else printf 'refused: %s\\n' \"$log\" | head -c 300; echo; fi"
    )
    if not resource.services:
        return kernel
    return f"{kernel}; echo '{_STATUS_MARK.strip()}'; {manager_for(resource).status_command(resource.services)}"


def killed_units(
    kills: Sequence[OomKill], states: Mapping[str, UnitState], manager: ServiceManager, uptime: float
) -> dict[str, OomKill]:
    """Which units were killed for memory: those the kernel names, and those ended by KILL in the same moment."""
    found = {}
    for unit, state in states.items():
        for kill in kills:
            if kill.unit == manager.normalise(unit) or (kill.unit is None and _coincide(kill, state, uptime)):
                found[unit] = kill
    return found


def _coincide(kill: OomKill, state: UnitState, uptime: float) -> bool:
    if state.signal != "KILL" or state.state == "running" or state.changed_seconds_ago is None:
        return False
    return -_SOONER_SECONDS <= (uptime - state.changed_seconds_ago) - kill.at <= _LATER_SECONDS


def _facts(signs: KernelSigns, killed: Mapping[str, OomKill]) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {
        fact_key("kernel.oom_kill", process=line(kill.process, 40)): kill.pid for kill in signs.kills[-_KILLS_TOLD:]
    }
    if signs.io_errors:
        facts["kernel.io_error"] = True
    return facts | {fact_key("unit.oom_killed", unit=unit): True for unit in killed}


def _text(signs: KernelSigns, killed: Mapping[str, OomKill], uptime: float) -> str:
    units = {kill.pid: unit for unit, kill in killed.items()}
    told = []
    for kill in reversed(signs.kills[-_KILLS_TOLD:]):
        of = f" of {units[kill.pid]}" if kill.pid in units else ""
        told.append(f"{ago(uptime - kill.at)} ago the OOM killer killed {kill.process}{of} (pid {kill.pid})")
    if signs.io_errors:
        told.append(f"{len(signs.io_errors)} disk errors, last: {line(signs.io_errors[-1], 100)}")
    return text_of(*told) or "no OOM kills and no disk errors in the last hour"


def _seconds(words: Sequence[str]) -> float:
    try:
        return float(words[0])
    except (IndexError, ValueError):
        return 0.0


def _host_began(init: str) -> float:
    """When process 1 began, in seconds since the kernel booted: clock ticks a second, then /proc/1/stat (proc(5))."""
    ticks, _, stat = init.partition(" ")
    try:
        return int(stat.rpartition(") ")[2].split()[19]) / int(ticks)
    except (IndexError, ValueError, ZeroDivisionError):
        return 0.0
