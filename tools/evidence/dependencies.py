"""Whether what the services cannot do without can be reached from the host itself: a database, another service.

A service that fails because its database is down is not mended by restarting it; and only from its own host can it be
told whether the way there works.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graph.facts import FactValue, fact_key
from graph.ports import Finding
from graph.records import Incident, Resource
from tools.evidence.context import HOST_SECONDS, SOURCE_SECONDS, EvidenceContext, asked_of, raw_of, resource_of, text_of
from tools.evidence.ports import declared_ports

_MOST = 6
_CONNECT_SECONDS = 3
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_WORDS = (
    (re.compile(r"refused", re.I), "refused"),
    (re.compile(r"no route|unreachable", re.I), "no_route"),
    (re.compile(r"name or service|resolve|not known|name resolution|bad address", re.I), "dns"),
)


@dataclass(frozen=True)
class Dependency:
    """One declared dependency. `address` is None where its port is not known; `key` where it is a resource."""

    name: str
    address: tuple[str, int] | None
    key: str | None = None


class DependenciesSource:
    """One TCP connection from the host to each of `depends_on`, all at once."""

    name = "dependencies"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts dependency.reachable{dependency}, dependency.how{dependency} and, of one that is a resource with an
        open incident, dependency.incident{dependency}. Raises HostUnreachable."""
        resource = resource_of(incident)
        wanted = dependencies(resource, self._context.inventory)[:_MOST]
        if not wanted:
            return Finding("(no depends_on)", "the resource declares no dependencies", status="no_data")
        command = connect_command([item.address for item in wanted if item.address])
        result = await self._context.hosts.run(resource, command, HOST_SECONDS)
        hows = parse_connects(result.stdout)
        facts: dict[str, FactValue] = {}
        words = []
        tried = [item for item in wanted if item.address]
        for item, how in zip(tried, (hows.get(index) for index in range(len(tried))), strict=True):
            if how is None or how == "no_tool":
                continue
            facts[fact_key("dependency.reachable", dependency=item.name)] = how == "ok"
            if how != "ok":
                facts[fact_key("dependency.how", dependency=item.name)] = how
            words.append(f"{item.name} {'reachable' if how == 'ok' else f'not reachable ({how})'}")
        facts |= await self._incidents(wanted)
        if not facts:
            return Finding(asked_of(command), "the host has no means to try a connection", status="no_data")
        return Finding(asked_of(command), text_of("from the host:", *words), facts, raw=raw_of(result))

    async def _incidents(self, wanted: Sequence[Dependency]) -> dict[str, FactValue]:
        history = self._context.history
        known = [item for item in wanted if item.key]
        if history is None or not known:
            return {}
        told = await asyncio.gather(*(history.under_way(item.key or "") for item in known))
        return {
            fact_key("dependency.incident", dependency=item.name): said
            for item, said in zip(known, told, strict=True)
            if said
        }


def dependencies(resource: Resource, inventory: Mapping[str, Resource]) -> list[Dependency]:
    """`depends_on`, with the address of each that is the key of a resource, and the key of each that is an address."""
    found = []
    for name in resource.depends_on:
        other = inventory.get(name)
        if other is not None:
            ports = (other.database.port,) if other.database else tuple(sorted(declared_ports(other)))
            found.append(Dependency(name, (other.address, ports[0]) if ports else None, name))
        elif match := _ADDRESS.fullmatch(name):
            host, port = match[1].strip("[]"), int(match[2])
            owners = (each for each in inventory.values() if each.address == host and _serves(each, port))
            owner = next(owners, None)
            found.append(Dependency(name, (host, port), owner.key if owner else None))
        else:
            found.append(Dependency(name, None))
    return found


def _serves(resource: Resource, port: int) -> bool:
    return resource.database.port == port if resource.database else port in declared_ports(resource)


def connect_command(addresses: Sequence[tuple[str, int]]) -> str:
    """Tries a TCP connection to each, with what the host has: bash, nc or python3. Sends nothing."""
    attempts = " ".join(f"try {index} {shlex.quote(host)} {port} &" for index, (host, port) in enumerate(addresses))
    limit = f"timeout {_CONNECT_SECONDS}"
    return (
        "try() { if command -v bash >/dev/null 2>&1; then "
        f'said=$({limit} bash -c \'exec 3<>"/dev/tcp/$0/$1"\' "$2" "$3" 2>&1); '
        f'elif command -v nc >/dev/null 2>&1; then said=$({limit} nc -z "$2" "$3" 2>&1 </dev/null); '
        f"elif command -v python3 >/dev/null 2>&1; then said=$({limit} python3 -c "
        '\'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])))\' "$2" "$3" 2>&1); '
        'else echo "dependency $1 tool"; return; fi; '
        "status=$?; printf '%s\\n' \"dependency $1 $status $(printf %s \"$said\" | tr '\\n' ' ' | tail -c 160)\"; }; "
        f"{attempts} wait"
    )


def parse_connects(output: str) -> dict[int, str]:
    """By index: ok, refused, no_route, dns, timeout, failed, or no_tool."""
    found = {}
    for row in output.splitlines():
        words = row.split(" ", 3)
        if words[0] != "dependency" or len(words) < 3 or not words[1].isdigit():
            continue
        found[int(words[1])] = _how(words[2], words[3] if len(words) > 3 else "")
    return found


def _how(status: str, said: str) -> str:
    if status == "0":
        return "ok"
    if status == "tool":
        return "no_tool"
    if status in ("124", "137", "143"):
        return "timeout"
    return next((word for pattern, word in _WORDS if pattern.search(said)), "failed")
