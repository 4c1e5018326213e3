"""A child process, started without copying the process that starts it.

The event loop's own way forks: with the memory of a server that takes tens of milliseconds, during which nothing else
goes on. `subprocess` lets the child borrow our memory until it runs its own program.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from typing import IO

KILLED_SECONDS = 1.0
"""For which a child that was killed is waited for."""


class Child:
    """A process in a group of its own, that the running loop reads and waits for. `close` it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._transports: list[asyncio.BaseTransport] = []
        self.stdout = asyncio.StreamReader()
        self.stderr = asyncio.StreamReader()

    @classmethod
    async def start(cls, arguments: Sequence[str], takes_input: bool = False) -> Child:
        """Raises OSError where there is no such program."""
        process = subprocess.Popen(  # noqa: ASYNC220 - it returns as soon as the child runs its program
            arguments,
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        child = cls(process)
        try:
            await child._listen(process.stdout, child.stdout)
            await child._listen(process.stderr, child.stderr)
        except BaseException:
            await child.close()
            raise
        return child

    @property
    def exit_status(self) -> int | None:
        """Of a child that has been waited for; negative where a signal ended it."""
        return self._process.returncode

    async def give(self, content: bytes) -> None:
        """Write to its standard input, and close that. A child may end without reading it."""
        assert self._process.stdin is not None, "started without takes_input"
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, self._process.stdin)
        self._transports.append(transport)
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            writer.write(content)
            await writer.drain()
        writer.close()

    async def wait(self) -> int:
        """Until it has ended: its exit status."""
        if self._process.poll() is None:
            await _ended(self._process)
        return self._process.wait()

    async def close(self) -> None:
        """Kill it and whatever of its group is left where it has not ended by itself; let go of what it was read by."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):  # in the kernel's hands: the next child that is started buries it
                await asyncio.wait_for(self.wait(), KILLED_SECONDS)
        for transport in self._transports:
            transport.close()

    async def _listen(self, pipe: IO[bytes] | None, into: asyncio.StreamReader) -> None:
        assert pipe is not None
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(into), pipe)
        self._transports.append(transport)


async def _ended(process: subprocess.Popen[bytes]) -> None:
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not on every system
        await loop.run_in_executor(None, process.wait)
        return
    told = asyncio.Event()
    loop.add_reader(handle, told.set)
    try:
        await told.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
