"""Threads for clients that block: few, bounded, and capped per target.

The shared pool of `asyncio.to_thread` has six threads on two cores, and six hung calls starve everybody. Here each
client has its own pool, and no target may hold more than its cap, so that hung targets leave threads for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


class PoolTimeout(Exception):
    """The work was not done in time. `started` tells whether it had begun."""

    def __init__(self, message: str, started: bool) -> None:
        super().__init__(message)
        self.started = started


@dataclass
class _Work(Generic[T]):
    call: Callable[[], T]
    started: bool = False

    def __call__(self) -> T:
        self.started = True
        return self.call()


@dataclass
class _Target:
    slots: asyncio.Semaphore
    users: int = field(default=0)


class BoundedPool:
    """At most `threads` calls at once, at most `per_target` of them for one target. For use from one event loop.

    Work must bound itself: a thread cannot be killed. A call whose caller has gone keeps its slot until it really
    ends, and then gives it back.
    """

    def __init__(self, name: str, threads: int, per_target: int) -> None:
        self._name = name
        self._per_target = per_target
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._targets: dict[str, _Target] = {}

    async def call(
        self, target: str, work: Callable[[], T], timeout: float, on_late: Callable[[], None] | None = None
    ) -> T:
        """Run `work` in a thread, wait `timeout` seconds at most for a slot and for its end.

        `on_late` is called, in the event loop, where the caller stops waiting (late or cancelled) for work that has
        begun: it should make the work end. Raises PoolTimeout, and what `work` raises.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        await self._take(target, timeout)
        job = _Work(work)
        try:
            thread_future = self._threads.submit(job)
        except RuntimeError:
            self._give_back(target)
            raise
        thread_future.add_done_callback(lambda _done: _in_loop(loop, lambda: self._give_back(target)))
        return await self._wait(job, thread_future, max(0.0, deadline - loop.time()), timeout, on_late)

    async def _wait(
        self,
        job: _Work[T],
        thread_future: Future[T],
        remaining: float,
        timeout: float,
        on_late: Callable[[], None] | None,
    ) -> T:
        future = asyncio.wrap_future(thread_future)
        try:
            done, _ = await asyncio.wait({future}, timeout=remaining)
        except asyncio.CancelledError:
            self._abandon(job, thread_future, future, on_late)
            raise
        if future.cancelled():
            raise PoolTimeout(f"{self._name}: closed before the work began", started=False)
        if done:
            return future.result()
        self._abandon(job, thread_future, future, on_late)
        state = "had begun and did not end" if job.started else "found no free thread"
        raise PoolTimeout(f"{self._name}: work {state} within {timeout:.1f} s", job.started)

    @staticmethod
    def _abandon(
        job: _Work[T], thread_future: Future[T], future: asyncio.Future[T], on_late: Callable[[], None] | None
    ) -> None:
        # What the abandoned work raises later has no reader: mark it as seen.
        future.add_done_callback(lambda late: late.cancelled() or late.exception())
        if not thread_future.cancel() and on_late is not None:
            on_late()

    async def _take(self, target: str, timeout: float) -> None:
        entry = self._targets.setdefault(target, _Target(asyncio.Semaphore(self._per_target)))
        entry.users += 1
        try:
            async with asyncio.timeout(timeout):
                await entry.slots.acquire()
        except TimeoutError:
            self._forget(target)
            raise PoolTimeout(
                f"{self._name}: {self._per_target} calls to {target} were already under way and none ended "
                f"within {timeout:.1f} s",
                started=False,
            ) from None
        except asyncio.CancelledError:
            self._forget(target)
            raise

    def _give_back(self, target: str) -> None:
        self._targets[target].slots.release()
        self._forget(target)

    def _forget(self, target: str) -> None:
        entry = self._targets[target]
        entry.users -= 1
        if not entry.users:
            del self._targets[target]

    def close(self) -> None:
        """Take no more work. Does not wait for what is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Have the loop make the call; from a thread that may outlive the loop."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
