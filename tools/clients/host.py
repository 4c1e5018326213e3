"""How commands reach a host: one protocol over SSH and the local transport, with results that tell how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from graph.records import Resource

MAX_OUTPUT_BYTES = 256 * 1024

UnreachableHow = Literal["timeout", "refused", "no_route", "auth", "host_key", "closed", "dns"]


@dataclass(frozen=True)
class CommandResult:
    """What a command on a host came to. Output is text, bounded to MAX_OUTPUT_BYTES each, invalid UTF-8 replaced."""

    command: str
    exit_status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.exit_status == 0


class HostUnreachable(Exception):
    """The command did not run to its end. `how` is a stable word; `sent` whether the host may have begun it."""

    def __init__(self, message: str, how: UnreachableHow, sent: bool = False) -> None:
        super().__init__(message)
        self.how = how
        self.sent = sent


class Hosts(Protocol):
    """Runs commands on the hosts of resources."""

    async def run(self, resource: Resource, command: str, timeout: float = 10.0) -> CommandResult:
        """Run a shell command that our own code has written. Raises HostUnreachable; never blocks beyond `timeout`."""

    async def close(self) -> None: ...


@runtime_checkable
class FeedingHosts(Protocol):
    """Hosts whose commands can be given something to read: the way for secrets, which are never part of a command."""

    async def feed(self, resource: Resource, command: str, given: str, timeout: float = 10.0) -> CommandResult:
        """As Hosts.run, with `given` as the command's standard input. It is not put on record."""


def place(resource: Resource) -> str:
    """Where commands run, as shown before them: `selfheal@10.0.0.5:22` or `local`."""
    if resource.transport == "local" or resource.ssh is None:
        return "local"
    return f"{resource.ssh.user}@{resource.address}:{resource.ssh.port}"
