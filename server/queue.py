"""The queue of legs: the one file that knows the queue engine (DBOS).

A free worker in the accepting process starts a leg at once; what finds no free worker waits in the queue, one leg
at a time per resource. One workflow per leg, and a workflow's id never runs twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

log = logging.getLogger("selfheal.queue")

RunLeg = Callable[[str, int], Awaitable[None]]

QUEUE = "legs"
APPLICATION_VERSION = "selfheal-1"
POLLING_SECONDS = 0.2
ASK_AGAIN_SECONDS = 30.0


class HealQueue:
    """The queue of one process. `executor_id` must be this process's alone: DBOS recovers work by it."""

    def __init__(self, database_url: str, executor_id: str, run_leg: RunLeg, worker_concurrency: int = 8) -> None:
        self._url = database_url
        self._executor_id = executor_id
        self._run_leg = run_leg
        self._concurrency = worker_concurrency
        self._slots = asyncio.Semaphore(worker_concurrency)
        self._reserved: set[str] = set()
        """Names that were given a slot before the engine runs them."""
        self._here: set[str] = set()
        """Names this process has taken on: reserved, waiting for a slot, or running."""
        self._queued: dict[str, float] = {}
        self._running: set[str] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._dbos: Any = None
        self._queue: Any = None
        self._workflow: Any = None

    async def launch(self) -> None:
        """Start the engine on the running event loop. Importing it takes a second, so it happens in a thread."""
        dbos = await asyncio.to_thread(_import_dbos)
        config = {
            "name": "selfheal",
            "system_database_url": self._url,
            "executor_id": self._executor_id,
            "application_version": APPLICATION_VERSION,
            "log_level": "ERROR",
            "enable_otlp": False,
            "use_listen_notify": False,
        }
        self._dbos = dbos.DBOS
        dbos.DBOS(config=config)

        @dbos.DBOS.workflow(name="leg")  # type: ignore[untyped-decorator]
        async def leg(incident_id: str, number: int) -> None:
            await self._run(incident_id, number)

        self._workflow = leg
        dbos.DBOS.launch()
        self._queue = await dbos.DBOS.register_queue_async(
            QUEUE,
            partition_concurrency=1,
            worker_concurrency=self._concurrency,
            polling_interval_sec=POLLING_SECONDS,
        )

    @property
    def running(self) -> int:
        """Legs that run in this process now."""
        return len(self._running)

    async def submit(self, incident_id: str, leg: int, resource_key: str) -> bool:
        """See that this leg runs once, here and at once where a worker is free. Submitting it again is harmless.

        False where the engine has used this number up although nobody runs it (its worker broke before the leg was
        begun): such a leg must be given another number.
        """
        name = f"{incident_id}:{leg}"
        if self._closing or self._dbos is None or name in self._here or self._lately_queued(name):
            return True
        free = not self._slots.locked()
        handle = await self._hand_over(name, incident_id, leg, resource_key)
        if handle is None or name in self._here:
            return True
        found = await handle.get_status()
        if found.status in ("ENQUEUED", "DELAYED"):
            # Queued a while ago, and here is a free worker: what is to come before it never ended, as the engine could
            # not write that down (its disk was full). Under another number it need not wait for that.
            return not free
        return bool(found.status == "PENDING" and found.executor_id != self._executor_id)

    async def _hand_over(self, name: str, incident_id: str, leg: int, resource_key: str) -> Any:
        """Start the leg here, or queue it. None where it runs, else the engine's handle of what it has of that name."""
        from dbos import SetEnqueueOptions, SetWorkflowID

        if self._slots.locked():
            self._queued[name] = time.monotonic()
            with SetWorkflowID(name), SetEnqueueOptions(queue_partition_key=resource_key[:200]):
                return await self._queue.enqueue_async(self._workflow, incident_id, leg)
        await self._slots.acquire()  # At once: it was just seen to be free.
        self._reserved.add(name)
        self._here.add(name)
        runs = False
        try:
            with SetWorkflowID(name):
                handle = await self._dbos.start_workflow_async(self._workflow, incident_id, leg)
            # Only what this very call has started comes with its task; any other handle polls the database.
            runs = hasattr(handle, "task")
        finally:
            if not runs and name in self._reserved:
                self._reserved.discard(name)
                self._here.discard(name)
                self._slots.release()
        return None if runs else handle

    def _lately_queued(self, name: str) -> bool:
        """Whether the engine was given it a short while ago, so that it need not be asked at every sweep."""
        at = self._queued.get(name)
        if at is not None and time.monotonic() - at < ASK_AGAIN_SECONDS:
            return True
        self._queued.pop(name, None)
        return False

    async def _run(self, incident_id: str, leg: int) -> None:
        name = f"{incident_id}:{leg}"
        self._queued.pop(name, None)
        self._here.add(name)
        try:
            await self._take_slot(name)
            if not self._closing:
                self._running.add(name)
                self._idle.clear()
                await self._run_leg(incident_id, leg)
        except Exception:
            log.exception("leg %s ended in an error that its runner did not tell", name)
        finally:
            self._here.discard(name)
            self._running.discard(name)
            self._slots.release()
            if not self._running:
                self._idle.set()

    async def _take_slot(self, name: str) -> None:
        """What was started at once has its slot; what comes out of the queue waits for one."""
        if name in self._reserved:
            self._reserved.discard(name)
            return
        await self._slots.acquire()

    async def close(self, drain_seconds: float) -> None:
        """Take no more, wait for what runs (bounded), and let go of the engine."""
        self._closing = True
        if self._dbos is None:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), drain_seconds)
        await asyncio.to_thread(self._dbos.destroy, destroy_registry=True)
        self._dbos = None
        # The engine made its own pool the loop's default and has shut it down; others still need one.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="default"))


def _import_dbos() -> Any:
    import dbos

    logging.getLogger("dbos").setLevel(logging.ERROR)
    return dbos
