"""Which TCP ports are listened on, and by whom: a service that runs without its port is not serving."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from graph.facts import FactValue, fact_key
from graph.ports import Finding
from graph.records import Incident, Resource
from tools.clients.host import HostUnreachable
from tools.evidence.context import (
    HOST_SECONDS,
    SOURCE_SECONDS,
    EvidenceContext,
    asked_of,
    line,
    raw_of,
    resource_of,
    text_of,
)
from tools.evidence.process_sample import parse_look
from tools.evidence.process_sampling import look_command
from tools.services.status import declared_names
from tools.services.units import sudo

_MOST_PORTS = 4
_PROCESS = re.compile(r'users:\(\("([^"]{1,64})"')
# The last pid of a row is always a real one: a process's name may hold anything, but stands before its own pid.
_PID = re.compile(r".*,pid=(\d{1,7}),fd=\d+\)\)\s*$")
_PROC_LISTEN = "0A"


class PortsSource:
    """`ss`, with process names where we may see them; else the kernel's own table. Who holds a declared port is then
    looked at more closely: a stranger there is what a service can't start for."""

    name = "ports"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts port.listening{port} for declared ports and some more, and of declared ones port.connections{port},
        port.process{port}, port.pid{port}, port.started{port} and port.unit{port}. Raises HostUnreachable."""
        resource = resource_of(incident)
        command = ports_command(resource)
        result = await self._context.hosts.run(resource, command, HOST_SECONDS)
        listening = listening_ports(result.stdout)
        if not listening and not result.ok:
            said = line(result.stderr or "nothing")
            return Finding(asked_of(command), f"the host did not tell: {said}", status="no_data", raw=raw_of(result))
        declared = declared_ports(resource)
        facts: dict[str, FactValue] = {
            fact_key("port.listening", port=str(port)): port in listening for port in sorted(declared)
        }
        others = [port for port in sorted(listening) if port not in declared][:_MOST_PORTS]
        facts |= {fact_key("port.listening", port=str(port)): True for port in others}
        held = {port: listening[port] for port in sorted(declared)[:_MOST_PORTS] if port in listening}
        facts |= {fact_key("port.process", port=str(port)): line(by.name, 40) for port, by in held.items() if by.name}
        connections = established(result.stdout)
        facts |= {fact_key("port.connections", port=str(port)): connections.get(port, 0) for port in held}
        facts |= await self._holders(resource, {port: by.pid for port, by in held.items() if by.pid})
        missing = sorted(declared - listening.keys())
        words = f"nobody listens on {', '.join(map(str, missing))}" if missing else ""
        open_ports = ", ".join(f"{port} {listening[port].name}".strip() for port in sorted(listening)[:12])
        return Finding(
            asked_of(command), text_of(words, f"listening: {open_ports or 'none'}"), facts, raw=raw_of(result)
        )

    async def _holders(self, resource: Resource, pids: Mapping[int, int]) -> dict[str, FactValue]:
        """What proves who holds a port: nothing where the host does not tell."""
        if not pids:
            return {}
        command = look_command(sorted(set(pids.values())))
        try:
            seen = parse_look((await self._context.hosts.run(resource, command, HOST_SECONDS)).stdout)
        except HostUnreachable:  # the ports themselves were told
            return {}
        names = declared_names(resource)
        facts: dict[str, FactValue] = {}
        for port, pid in pids.items():
            if (process := seen.get(pid)) is None:
                continue
            label = str(port)
            facts[fact_key("port.process", port=label)] = line(process.name, 64)
            facts[fact_key("port.pid", port=label)] = pid
            facts[fact_key("port.started", port=label)] = process.started
            if process.unit:
                unit = names.get(process.unit, process.unit)
                facts[fact_key("port.unit", port=label)] = unit
                if process.transient is not None and unit == process.unit:
                    facts[fact_key("unit.transient", unit=unit)] = process.transient
        return facts


def ports_command(resource: Resource) -> str:
    """`ss` with the rights to see whose sockets they are, then without, then /proc."""
    tries = [f"{sudo(resource)}ss -Hltnp"] + (["ss -Hltnp"] if sudo(resource) else [])
    asked = " || ".join(f"{attempt} 2>/dev/null" for attempt in tries)
    count = (
        '{ n = split($3, part, ":"); seen[part[n]]++ } END { for (port in seen) print "established", port, seen[port] }'
    )
    return (
        f"{{ {asked} || cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; }} | head -n 2000; "
        f"ss -Htn state established 2>/dev/null | awk {shlex.quote(count)} | head -n 500"
    )


def declared_ports(resource: Resource) -> set[int]:
    """The ports of declared checks that are this resource's own."""
    found = set()
    for check in resource.health:
        host, port = _host_and_port(check.http, check.tcp)
        if port and host == resource.address:
            found.add(port)
    return found


@dataclass(frozen=True)
class Holder:
    """Who listens on a port, as far as we may see."""

    name: str = ""
    pid: int | None = None


def listening_ports(output: str) -> Mapping[int, Holder]:
    """Port → who listens there. From `ss -Hltnp` or /proc/net/tcp."""
    found: dict[int, Holder] = {}
    for row in output.splitlines():
        fields = row.split()
        if fields[:1] == ["LISTEN"] and len(fields) >= 4:
            port = fields[3].rpartition(":")[2]
            process, pid = _PROCESS.search(row), _PID.search(row)
            if port.isdigit():
                known = found.get(int(port), Holder())
                found[int(port)] = Holder(process[1] if process else known.name, int(pid[1]) if pid else known.pid)
        elif len(fields) > 4 and fields[0].rstrip(":").isdigit() and fields[3] == _PROC_LISTEN:
            found.setdefault(int(fields[1].rpartition(":")[2], 16), Holder())
    return found


def established(output: str) -> Mapping[int, int]:
    """Port → how many established connections have it at this end."""
    rows = (row.split() for row in output.splitlines())
    return {int(row[1]): int(row[2]) for row in rows
            if row[:1] == ["established"] and len(row) == 3 and row[1].isdigit() and row[2].isdigit()}  # fmt: skip


def _host_and_port(http: str | None, tcp: str | None) -> tuple[str, int | None]:
    try:
        parts = urlsplit(http or f"//{tcp or ''}")
        default = {"http": 80, "https": 443}.get(parts.scheme)
        return parts.hostname or "", parts.port or default
    except ValueError:  # a port that is no number: the health check itself says so
        return "", None
