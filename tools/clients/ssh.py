"""Hosts over SSH: pooled paramiko connections that stay usable for everybody while some hosts hang.

Connecting and running have separate threads. Commands for a host that is being connected wait for that one
attempt without holding a thread, so a hung host costs one thread while it is being tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from graph.records import Resource, SshAccess
from tools.clients.circuit import Circuits, NotAsked
from tools.clients.host import CommandResult, HostUnreachable, UnreachableHow
from tools.clients.pools import BoundedPool, PoolTimeout
from tools.clients.ssh_connection import (
    Running,
    SshConnection,
    SshTimes,
    StaleConnection,
    banner_answers,
    open_connection,
)

_IDLE_SECONDS = 300.0
_ABORT_AFTER_SECONDS = 1.0
_NOT_THERE: frozenset[UnreachableHow] = frozenset({"timeout", "refused", "no_route", "closed", "dns"})
"""Ways not to connect that say something of the host; a wrong key or user says that it is there."""


@dataclass(frozen=True)
class _Target:
    """What a connection is shared by. Other credentials are another connection."""

    address: str
    access: SshAccess

    def __str__(self) -> str:
        return f"{self.access.user}@{self.address}:{self.access.port}"

    @property
    def host(self) -> str:
        """What a circuit is of, whoever logs in."""
        return f"{self.address}:{self.access.port}"


class SshHosts:
    """Runs commands on hosts over SSH. Belongs to the event loop it is first used in; `close` it."""

    def __init__(
        self,
        times: SshTimes | None = None,
        threads: int = 32,
        per_target: int = 3,
        circuits: Circuits | None = None,
    ) -> None:
        self._times = times or SshTimes()
        self._circuits = circuits or Circuits()
        self._commands = BoundedPool("ssh", threads, per_target)
        self._connects = BoundedPool("ssh-connect", threads, 2)
        self._connections: dict[_Target, SshConnection] = {}
        self._connecting: dict[_Target, asyncio.Task[SshConnection]] = {}

    async def run(
        self, resource: Resource, command: str, timeout: float = 10.0, given: str | None = None
    ) -> CommandResult:
        """Run a shell command over SSH, within `timeout` seconds in all; `given` is its standard input.
        Raises HostUnreachable.

        The command is sent once: only a connection that took no command at all is replaced and tried again.
        """
        target = _target(resource)
        deadline = time.monotonic() + timeout
        self._close_idle()
        while True:
            connection, fresh = await self._connection(resource, target, deadline - time.monotonic())
            try:
                result = await self._execute(target, connection, command, deadline, given)
            except StaleConnection as error:
                self._drop(target, connection)
                if fresh or time.monotonic() >= deadline:
                    self._circuits.failed("ssh", target.host, error)
                    raise HostUnreachable(str(error), error.how, sent=False) from error
            except HostUnreachable as error:
                # One command that takes too long says little of the host: the next would be turned away for it.
                if error.how == "closed":
                    self._circuits.failed("ssh", target.host, error)
                raise
            else:
                self._circuits.answered("ssh", target.host)
                return result

    async def feed(self, resource: Resource, command: str, given: str, timeout: float = 10.0) -> CommandResult:
        """See FeedingHosts.feed."""
        return await self.run(resource, command, timeout, given)

    async def answers(self, resource: Resource, timeout: float = 2.0) -> bool:
        """Whether a real SSH server greets at the resource's address within `timeout` seconds."""
        target = _target(resource)
        try:
            greets = await self._connects.call(
                f"banner of {target}",
                lambda: banner_answers(target.address, target.access.port, timeout * 0.9),
                timeout,
            )
        except PoolTimeout:
            return False
        if greets:  # as after a reboot of ours: the verification must not be kept waiting
            self._circuits.may_be_back("ssh", target.host)
        return greets

    async def close(self) -> None:
        """Cut all connections; commands under way fail as `closed`."""
        for task in list(self._connecting.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, HostUnreachable):  # nobody is left to tell
                await task
        for connection in self._connections.values():
            connection.abort()
        self._connections.clear()
        self._commands.close()
        self._connects.close()

    # -- connections -----------------------------------------------------------------------------------

    async def _connection(self, resource: Resource, target: _Target, timeout: float) -> tuple[SshConnection, bool]:
        """A connection, and whether it is fresh. All who want one for a target share a single attempt."""
        connection = self._connections.get(target)
        if connection is not None:
            if connection.usable:
                return connection, False
            self._drop(target, connection)
        attempt = self._connecting.get(target)
        if attempt is None:
            try:
                self._circuits.check("ssh", target.host)
            except NotAsked as error:
                how = error.last.how if isinstance(error.last, HostUnreachable | StaleConnection) else "timeout"
                raise HostUnreachable(str(error), how, sent=False) from error
            attempt = asyncio.create_task(self._connect(resource, target))
            self._connecting[target] = attempt
            attempt.add_done_callback(lambda done: self._attempt_ended(target, done))
        done, _ = await asyncio.wait({attempt}, timeout=max(0.0, timeout))
        if not done:
            raise HostUnreachable(f"{target}: no SSH connection within {timeout:.1f} s", "timeout", sent=False)
        if attempt.cancelled():
            raise HostUnreachable(f"{target}: the SSH client was closed", "closed", sent=False)
        return attempt.result(), True

    async def _connect(self, resource: Resource, target: _Target) -> SshConnection:
        whole = self._times.whole_connect
        try:
            connection = await self._connects.call(
                str(target), lambda: open_connection(resource, target.access, self._times), whole + 0.5
            )
        except PoolTimeout as error:
            unreachable = HostUnreachable(f"{target}: no SSH connection: {error}", "timeout", sent=False)
            if error.started:
                self._circuits.failed("ssh", target.host, unreachable)
            raise unreachable from error
        except HostUnreachable as error:
            if error.how in _NOT_THERE:
                self._circuits.failed("ssh", target.host, error)
            else:
                self._circuits.answered("ssh", target.host)
            raise
        self._connections[target] = connection
        return connection

    def _attempt_ended(self, target: _Target, attempt: asyncio.Task[SshConnection]) -> None:
        self._connecting.pop(target, None)
        if not attempt.cancelled():
            attempt.exception()  # marks it as seen where nobody waits any more

    def _drop(self, target: _Target, connection: SshConnection) -> None:
        connection.abort()
        if self._connections.get(target) is connection:
            del self._connections[target]

    def _close_idle(self) -> None:
        oldest = time.monotonic() - _IDLE_SECONDS
        for target, connection in list(self._connections.items()):
            if not connection.users and connection.last_used < oldest:
                self._drop(target, connection)

    # -- commands --------------------------------------------------------------------------------------

    async def _execute(
        self, target: _Target, connection: SshConnection, command: str, deadline: float, given: str | None
    ) -> CommandResult:
        running = Running()
        loop = asyncio.get_running_loop()

        def abort_if_stuck() -> None:
            if not running.ended:
                self._drop(target, connection)

        def stop() -> None:
            running.stop.set()
            # Most waits see `stop` at once; for those that cannot, the socket is taken away.
            loop.call_later(_ABORT_AFTER_SECONDS, abort_if_stuck)

        def work() -> CommandResult:
            try:
                return connection.execute(command, deadline - 0.1, running, self._times.channel, given)
            finally:
                running.ended = True

        connection.users += 1
        try:
            return await self._commands.call(str(target), work, deadline - time.monotonic(), stop)
        except PoolTimeout as error:
            raise HostUnreachable(
                f"{target}: {command[:80]!r} did not end in time: {error}", "timeout", sent=running.sent
            ) from error
        finally:
            connection.users -= 1


def _target(resource: Resource) -> _Target:
    if resource.ssh is None:
        raise HostUnreachable(f"resource {resource.id!r} has no `ssh` entry: cannot be reached over SSH", "no_route")
    return _Target(resource.address, resource.ssh)
