"""Alerts that come in while others are being written are written together: one transaction, one commit for all.

The busier it gets, the more share a commit, so that a storm costs little more than its rows.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from server.store.accepting import Accepted, Answer, Arrival, accept_all
from server.store.engine import Database
from server.store.schema import StoreError

MOST_ALERTS = 1_000
"""In one transaction: others wait for it."""

WINDOW_SECONDS = 0.25
STORMING = 40 * WINDOW_SECONDS
"""Forty groups a second: far more than Alertmanager sends in quiet times."""


class Pressure:
    """Whether alerts storm in, by how many groups came of late: each counts less the longer ago it was."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._level = 0.0
        self._at = clock()

    def came(self) -> None:
        """One more group."""
        now = self._clock()
        self._level = self._level * math.exp((self._at - now) / WINDOW_SECONDS) + 1
        self._at = now

    @property
    def high(self) -> bool:
        """Whether accepting needs the machine more than anything else does."""
        return self._level * math.exp((self._at - self._clock()) / WINDOW_SECONDS) > STORMING


One = tuple[Arrival, "asyncio.Future[list[Accepted]]"]
Also = Callable[[Connection, Sequence[Accepted], datetime], Sequence[str]]
"""What else follows from alerts that were taken on, in the same transaction; returns the incidents it changed."""


class Gathering:
    """The arrivals of one process. `changed` is called with the id of each incident that `also` changed."""

    def __init__(self, database: Database, now: Callable[[], datetime], changed: Callable[[str], None]) -> None:
        self._db = database
        self._now = now
        self._changed = changed
        self.also: Also | None = None
        self._coming: deque[One] = deque()
        self._part: list[One] = []
        self._writing: asyncio.Task[None] | None = None
        self.pressure = Pressure()

    async def accept(self, arrival: Arrival, within: float = math.inf) -> list[Accepted]:
        """Take on a group; durable on return. Raises Overloaded, StoreBusy, what deciding about it raises, and
        TimeoutError where it is not on disk within so many seconds: then it may or may not come to be."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Accepted]] = loop.create_future()
        self._coming.append((arrival, done))
        self.pressure.came()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="alerts")
        if within == math.inf:
            return await done
        late = loop.call_later(within, _settle, done, TimeoutError())  # a tenth of what `asyncio.timeout` takes
        try:
            return await done
        finally:
            late.cancel()

    async def _write(self) -> None:
        try:
            while self._coming:
                await asyncio.sleep(0)  # What the loop has read by now comes along.
                await self._write_next()
        finally:
            self._writing = None

    async def _write_next(self) -> None:
        self._part = []
        try:
            await self._written(self._next)
        except Exception as error:
            part = self._part or self._next()
            if isinstance(error, StoreError) or len(part) == 1:
                for _, done in part:
                    _settle(done, error)
                return
            for one in part:  # One that can't be written must not cost the others.
                await self._write_alone(one)

    async def _write_alone(self, one: One) -> None:
        try:
            await self._written(lambda: [one])
        except Exception as error:
            _settle(one[1], error)

    async def _written(self, take: Callable[[], list[One]]) -> None:
        """Answer what `take` gives once it is on disk."""
        now = self._now()

        def work(connection: Connection) -> tuple[list[Answer], Sequence[str]]:
            self._part = take()
            answers = accept_all(connection, [arrival for arrival, _ in self._part], now)
            taken = [accepted for answer in answers if isinstance(answer, list) for accepted in answer]
            return answers, self.also(connection, taken, now) if self.also is not None else ()

        answers, changed = await self._db.write(work, first=True)
        for (_, done), answer in zip(self._part, answers, strict=True):
            _settle(done, answer)
        for incident_id in changed:
            self._changed(incident_id)

    def _next(self) -> list[One]:
        """What goes into one transaction. Called by the writer, at the last moment, so that all come along that can."""
        part: list[One] = []
        alerts = 0
        while self._coming and (not part or alerts + len(self._coming[0][0].group.alerts) <= MOST_ALERTS):
            arrival, done = self._coming.popleft()
            if not done.done():  # else its request has given up
                part.append((arrival, done))
                alerts += len(arrival.group.alerts)
        return part


def _settle(done: asyncio.Future[list[Accepted]], answer: Answer | Exception) -> None:
    if done.done():
        return
    if isinstance(answer, Exception):
        done.set_exception(answer)
    else:
        done.set_result(answer)
