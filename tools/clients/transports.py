"""All hosts behind one port, each reached the way its resource declares."""

from __future__ import annotations

import asyncio
from typing import Protocol

from graph.records import Resource
from tools.clients.circuit import Circuits
from tools.clients.host import CommandResult, FeedingHosts, Hosts, HostUnreachable, place
from tools.clients.local import LocalHosts
from tools.clients.recording import Recorder
from tools.clients.ssh import SshHosts


class ReachableHosts(Hosts, Protocol):
    """Hosts that also tell whether they are there at all, without logging in."""

    async def answers(self, resource: Resource, timeout: float = 2.0) -> bool:
        """Whether the host greets within `timeout` seconds. Never raises for a host that does not."""


class TransportHosts:
    """Sends each resource's commands over its `transport`."""

    def __init__(
        self,
        ssh: ReachableHosts | None = None,
        local: ReachableHosts | None = None,
        recorder: Recorder | None = None,
        circuits: Circuits | None = None,
    ) -> None:
        self._by_transport: dict[str, ReachableHosts] = {
            "ssh": ssh or SshHosts(circuits=circuits),
            "local": local or LocalHosts(),
        }
        self._recorder = recorder or Recorder()

    async def run(self, resource: Resource, command: str, timeout: float = 10.0) -> CommandResult:
        """See Hosts.run. Put on record first."""
        transport = self._of(resource)
        await self._recorder.sent(place(resource), command)
        return await transport.run(resource, command, timeout)

    async def feed(self, resource: Resource, command: str, given: str, timeout: float = 10.0) -> CommandResult:
        """See FeedingHosts.feed. The command is put on record first; what it is given is not."""
        transport = self._of(resource)
        if not isinstance(transport, FeedingHosts):
            raise HostUnreachable(f"{resource.key}: its transport can give a command nothing to read", "no_route")
        await self._recorder.sent(place(resource), command)
        return await transport.feed(resource, command, given, timeout)

    async def answers(self, resource: Resource, timeout: float = 2.0) -> bool:
        """Whether the resource's host greets within `timeout` seconds."""
        return resource.transport in self._by_transport and await self._of(resource).answers(resource, timeout)

    def _of(self, resource: Resource) -> ReachableHosts:
        if resource.transport not in self._by_transport:
            raise HostUnreachable(f"{resource.key} has no host that we may log in to (transport: none)", "no_route")
        return self._by_transport[resource.transport]

    async def close(self) -> None:
        """Close every transport."""
        await asyncio.gather(*(hosts.close() for hosts in self._by_transport.values()))
