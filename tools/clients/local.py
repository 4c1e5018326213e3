"""The machine we run on as a host: for a service beside the worker, and where no sshd is to be had."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, Process

from graph.records import Resource
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
            process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                command,
                stdin=DEVNULL if given is None else PIPE,
                stdout=PIPE,
                stderr=PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise HostUnreachable(f"{resource.id}: cannot start /bin/sh here: {error}", "refused") from error
        try:
            async with asyncio.timeout(timeout):
                await _give(process, given)
                stdout, stderr = await _finish(process)
        except TimeoutError:
            raise HostUnreachable(
                f"{resource.id}: {command[:80]!r} did not end within {timeout:.1f} s here", "timeout", sent=True
            ) from None
        finally:
            _kill_group(process)
        exit_status = -1 if process.returncode is None else process.returncode
        return CommandResult(command, exit_status, stdout, stderr, time.monotonic() - started)

    async def feed(self, resource: Resource, command: str, given: str, timeout: float = 10.0) -> CommandResult:
        """See FeedingHosts.feed."""
        return await self.run(resource, command, timeout, given)

    async def answers(self, resource: Resource, timeout: float = 2.0) -> bool:
        """This machine answers as long as we run."""
        return True

    async def close(self) -> None:
        """Nothing is kept open."""


async def _give(process: Process, given: str | None) -> None:
    if given is None or process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it reads none of it: its exit status tells
        process.stdin.write(given.encode())
        await process.stdin.drain()
    process.stdin.close()


async def _finish(process: Process) -> tuple[str, str]:
    """Both outputs, once the shell has ended. A child left behind may hold them open: it is not waited for."""
    assert process.stdout is not None and process.stderr is not None
    kept = bytearray(), bytearray()
    readers = [
        asyncio.create_task(_keep(stream, into))
        for stream, into in zip((process.stdout, process.stderr), kept, strict=True)
    ]
    ended = asyncio.create_task(process.wait())
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


def _kill_group(process: Process) -> None:
    """End the shell and its children, where it has not ended by itself."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it ended just now
            os.killpg(process.pid, signal.SIGKILL)
