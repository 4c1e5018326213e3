"""What is done beside heals by every process that may: being seen to be alive, and chores that one at a time does."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from importlib.metadata import version

from server.store import Store
from server.store.workers import Worker

log = logging.getLogger("selfheal.workers")

BEAT_SECONDS = 2.0
DUTY_SECONDS = 20.0
LOOK_SECONDS = 5.0


def this_worker(name: str, role: str) -> Worker:
    return Worker(name, role, socket.gethostname()[:200], os.getpid(), version("selfheal"))


async def beat(store: Store, worker: Worker) -> None:
    """Until cancelled: be seen."""
    while True:
        try:
            await store.workers.beat(worker)
        except Exception as error:  # whatever it is: who is not seen is taken for dead, and shown so
            log.warning("this process can't be seen to be alive: %s", error)
        await asyncio.sleep(BEAT_SECONDS)


async def on_duty(
    store: Store, duty: str, name: str, work: Callable[[], Awaitable[None]], look_seconds: float = LOOK_SECONDS
) -> None:
    """Until cancelled: do this while no other process does it. `work` is cancelled when another has it."""
    working: asyncio.Task[None] | None = None
    try:
        while True:
            try:
                mine = await store.workers.on_duty(duty, name, DUTY_SECONDS)
            except Exception as error:  # whatever it is: it may be somebody else's meanwhile
                log.warning("whose turn it is to do %s can't be told: %s", duty, error)
                mine = False
            if working is not None and working.done():
                _tell_end(duty, working)
                working = None
            if mine and working is None:
                working = asyncio.ensure_future(work())
            elif not mine and working is not None:
                working.cancel()
                working = None
            await asyncio.sleep(look_seconds)
    finally:
        if working is not None:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


def _tell_end(duty: str, ended: asyncio.Task[None]) -> None:
    """Chores never end by themselves."""
    error = None if ended.cancelled() else ended.exception()
    log.error("%s has ended and is begun anew: %s", duty, error or "nobody said why", exc_info=error)
