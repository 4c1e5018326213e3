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
from server.store.engine import Database, StoreBusy

MOST_ALERTS = 1_000
"""In one transaction: others wait for it."""

LINGERS = 3.0
MOST_LINGER_SECONDS = 0.005
"""In a storm, others are waited for before a commit: a third of what the last one took. Many small commits would cost
more than they hasten."""
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


Also = Callable[[Connection, Sequence[Accepted], datetime], Sequence[str]]
"""What else follows from alerts that were taken on, in the same transaction; returns the incidents it changed."""


class Gathering:
    """The arrivals of one process. `changed` is called with the id of each incident that `also` changed."""

    def __init__(self, database: Database, now: Callable[[], datetime], changed: Callable[[str], None]) -> None:
        self._db = database
        self._now = now
        self._changed = changed
        self.also: Also | None = None
        self._coming: deque[tuple[Arrival, asyncio.Future[list[Accepted]]]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self.pressure = Pressure()
        self._linger = 0.0

    async def accept(self, arrival: Arrival) -> list[Accepted]:
        """Take on a group; durable on return. Raises Overloaded, StoreBusy, and what deciding about it raises."""
        done: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        self._coming.append((arrival, done))
        self.pressure.came()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="alerts")
        return await done

    async def _write(self) -> None:
        try:
            while self._coming:
                # What the loop has read by now comes along; in a storm, also what comes a moment later.
                await asyncio.sleep(self._linger if self.pressure.high else 0)
                part = self._next()
                began = time.monotonic()
                await self._write_part(part)
                self._linger = min((time.monotonic() - began) / LINGERS, MOST_LINGER_SECONDS)
        finally:
            self._writing = None

    def _next(self) -> list[tuple[Arrival, asyncio.Future[list[Accepted]]]]:
        part: list[tuple[Arrival, asyncio.Future[list[Accepted]]]] = []
        alerts = 0
        while self._coming and (not part or alerts + len(self._coming[0][0].group.alerts) <= MOST_ALERTS):
            arrival, done = self._coming.popleft()
            if not done.done():  # else its request has given up
                part.append((arrival, done))
                alerts += len(arrival.group.alerts)
        return part

    async def _write_part(self, part: list[tuple[Arrival, asyncio.Future[list[Accepted]]]]) -> None:
        arrivals, now = [arrival for arrival, _ in part], self._now()
        try:
            answers, changed = await self._db.write(lambda c: self._take_on(c, arrivals, now))
        except StoreBusy as error:
            for _, done in part:
                _settle(done, error)
        except Exception as error:
            if len(part) == 1:
                _settle(part[0][1], error)
                return
            for one in part:  # One that can't be written must not cost the others.
                await self._write_part([one])
        else:
            for (_, done), answer in zip(part, answers, strict=True):
                _settle(done, answer)
            for incident_id in changed:
                self._changed(incident_id)

    def _take_on(
        self, connection: Connection, arrivals: Sequence[Arrival], now: datetime
    ) -> tuple[list[Answer], Sequence[str]]:
        answers = accept_all(connection, arrivals, now)
        if self.also is None:
            return answers, ()
        taken = [accepted for answer in answers if isinstance(answer, list) for accepted in answer]
        return answers, self.also(connection, taken, now)


def _settle(done: asyncio.Future[list[Accepted]], answer: Answer | Exception) -> None:
    if done.done():
        return
    if isinstance(answer, Exception):
        done.set_exception(answer)
    else:
        done.set_result(answer)
