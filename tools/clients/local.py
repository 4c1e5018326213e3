"""The machine we run on as a host: for a service beside the worker, and where no sshd is to be had."""

from __future__ import annotations

import asyncio
import time

from graph.records import Resource
from tools.clients.child import Child
from tools.clients.host import MAX_OUTPUT_BYTES, CommandResult, HostUnreachable

_EOF_GRACE_SECONDS = 0.3
_CHUNK_BYTES = 32 * 1024


class LocalHosts:
    """Runs commands on this machine with `/bin/sh -c`, each in a process group of its own."""

    async def run(
        self, resource: Resource, command: str, timeout: float = 10.0, given: str | None = None
    ) -> CommandResult:
        """Run the command, `given` being its standard input; at the deadline its process group is killed and
        HostUnreachable raised."""
        started = time.monotonic()
        try:
            child = await Child.start(("/bin/sh", "-c", command), takes_input=given is not None)
        except OSError as error:
            raise HostUnreachable(f"{resource.id}: cannot start /bin/sh here: {error}", "refused") from error
        try:
            async with asyncio.timeout(timeout):
                if given is not None:
                    await child.give(given.encode())
                stdout, stderr = await _finish(child)
        except TimeoutError:
            raise HostUnreachable(
                f"{resource.id}: {command[:80]!r} did not end within {timeout:.1f} s here", "timeout", sent=True
            ) from None
        finally:
            await child.close()
        exit_status = -1 if child.exit_status is None else child.exit_status
        return CommandResult(command, exit_status, stdout, stderr, time.monotonic() - started)

    async def feed(self, resource: Resource, command: str, given: str, timeout: float = 10.0) -> CommandResult:
        """See FeedingHosts.feed."""
        return await self.run(resource, command, timeout, given)

    async def answers(self, resource: Resource, timeout: float = 2.0) -> bool:
        """This machine answers as long as we run."""
        return True

    async def close(self) -> None:
        """Nothing is kept open."""


async def _finish(child: Child) -> tuple[str, str]:
    """Both outputs, once the shell has ended. A child left behind may hold them open: it is not waited for."""
    kept = bytearray(), bytearray()
    readers = [
        asyncio.create_task(_keep(stream, into))
        for stream, into in zip((child.stdout, child.stderr), kept, strict=True)
    ]
    ended = asyncio.create_task(child.wait())
    try:
        await asyncio.wait({*readers, ended}, return_when=asyncio.FIRST_COMPLETED)
        await ended
        await asyncio.wait(readers, timeout=_EOF_GRACE_SECONDS)
    finally:
        for task in (*readers, ended):
            task.cancel()
    return kept[0].decode("utf-8", "replace"), kept[1].decode("utf-8", "replace")


async def _keep(stream: asyncio.StreamReader, into: bytearray) -> None:
    """Read to the end, keep up to the bound."""
    while chunk := await stream.read(_CHUNK_BYTES):
        into += chunk[: MAX_OUTPUT_BYTES - len(into)]
