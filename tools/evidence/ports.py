"""Which TCP ports are listened on, and by whom: a service that runs without its port is not serving."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from graph.facts import FactValue, fact_key
from graph.ports import Finding
from graph.records import Incident, Resource
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
from tools.services.units import sudo

_MOST_PORTS = 4
_PROCESS = re.compile(r'users:\(\("([^"]{1,64})"')
_PROC_LISTEN = "0A"


class PortsSource:
    """`ss`, with process names where we may see them; else the kernel's own table."""

    name = "ports"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts port.listening{port} for declared ports and some more, port.process{port}. Raises HostUnreachable."""
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
        shown = [port for port in sorted(declared) if listening.get(port)]
        facts |= {fact_key("port.process", port=str(port)): line(listening[port], 40) for port in shown}
        missing = sorted(declared - listening.keys())
        words = f"nobody listens on {', '.join(map(str, missing))}" if missing else ""
        open_ports = ", ".join(f"{port} {listening[port]}".strip() for port in sorted(listening)[:12])
        return Finding(
            asked_of(command), text_of(words, f"listening: {open_ports or 'none'}"), facts, raw=raw_of(result)
        )


def ports_command(resource: Resource) -> str:
    """`ss` with the rights to see whose sockets they are, then without, then /proc."""
    tries = [f"{sudo(resource)}ss -Hltnp"] + (["ss -Hltnp"] if sudo(resource) else [])
    asked = " || ".join(f"{attempt} 2>/dev/null" for attempt in tries)
    return f"{{ {asked} || cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; }} | head -n 2000"


def declared_ports(resource: Resource) -> set[int]:
    """The ports of declared checks that are this resource's own."""
    found = set()
    for check in resource.health:
        host, port = _host_and_port(check.http, check.tcp)
        if port and host == resource.address:
            found.add(port)
    return found


def listening_ports(output: str) -> Mapping[int, str]:
    """Port → name of the process, empty where it is not told. From `ss -Hltnp` or /proc/net/tcp."""
    found: dict[int, str] = {}
    for row in output.splitlines():
        fields = row.split()
        if fields[:1] == ["LISTEN"] and len(fields) >= 4:
            port = fields[3].rpartition(":")[2]
            process = _PROCESS.search(row)
            if port.isdigit():
                found[int(port)] = process[1] if process else found.get(int(port), "")
        elif len(fields) > 4 and fields[0].rstrip(":").isdigit() and fields[3] == _PROC_LISTEN:
            found.setdefault(int(fields[1].rpartition(":")[2], 16), "")
    return found


def _host_and_port(http: str | None, tcp: str | None) -> tuple[str, int | None]:
    try:
        parts = urlsplit(http or f"//{tcp or ''}")
        default = {"http": 80, "https": 443}.get(parts.scheme)
        return parts.hostname or "", parts.port or default
    except ValueError:  # a port that is no number: the health check itself says so
        return "", None
