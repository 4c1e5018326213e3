"""Clears away what closed incidents have left behind, by the terms of the settings, a little at a time.

Any process that heals does it, whichever has the turn; what is done twice is done once. It never keeps a heal waiting:
batches are small, and after each it rests as long as that took.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from graph.rules.retention import Cutoffs, Terms, cutoffs
from server.store import Store
from server.store.who import Who

log = logging.getLogger("selfheal.retention")

LOOK_SECONDS = 60.0
FIRST_SECONDS = 20.0
DUTY = "retention"
TURN_SECONDS = 180.0
SELDOM_SECONDS = 3600.0
JUMP_SECONDS = 3600.0
"""More than this no clock is put right by: what it says of ages may be wrong."""
DISTRUST_SECONDS = 24 * 3600.0
FROM_THE_START_SECONDS = 24 * 3600.0
AT_ONCE = 20
THREADS_AT_ONCE = 200
LONGEST_REST = 1.0

DONE = ("checkpoints", "compacted", "evidence_expired", "incidents_deleted", "notices_cleared", "texts_cleared")


class HasThreads(Protocol):
    """Threads that have checkpoints: see `agents.threads`."""

    async def after(self, thread_id: str, limit: int) -> list[str]: ...

    async def forget(self, thread_id: str) -> None: ...


class Keeper:
    """Clears away for one process. Without `threads`, checkpoints are left to those that heal."""

    def __init__(self, store: Store, terms: Terms, name: str, threads: HasThreads | None = None) -> None:
        self._store = store
        self._kept = store.retention
        self._terms = terms
        self._name = name
        self._threads = threads
        self._compacted_to = 0.0
        """What ended before is compacted. Only to look at less: now and then all is looked at."""
        self._from_start_at = time.monotonic()
        self._seldom_at = float("-inf")
        self._clock = (self._kept.time().timestamp(), time.monotonic())
        self._distrusted_until = float("-inf")

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                if await self._store.workers.on_duty(DUTY, self._name, TURN_SECONDS):
                    await self._kept.done(self._name, await self.once(TURN_SECONDS / 2))
            except Exception:  # whatever it is, it must be tried again
                log.exception("what closed incidents have left behind can't be cleared away; it is tried again")
            await asyncio.sleep(LOOK_SECONDS)

    async def asked(self, who: Who, seconds: float) -> dict[str, Any]:
        """What `once` does, all of it, because a human wants it now."""
        self._seldom_at, self._compacted_to, self._distrusted_until = float("-inf"), 0.0, float("-inf")
        self._clock = (self._kept.time().timestamp(), time.monotonic())
        done = await self.once(seconds)
        await self._kept.done(who, done, asked=True)
        return done

    async def due(self) -> dict[str, int]:
        """How many of what would be done now."""
        found = await self._kept.due(self._cutoffs())
        if self._threads is None:
            return found
        over = [len(some) async for some in self._over(self._cutoffs())]
        return {"checkpoints": sum(over), **found}

    async def once(self, seconds: float) -> dict[str, Any]:
        """Do what is due, for at most about so long. Returns how many of what was done; `more`: time was up."""
        until, done = time.monotonic() + seconds, Counter(dict.fromkeys(DONE, 0))
        due = self._cutoffs()
        steps: list[Callable[[Cutoffs, Counter[str], float], Awaitable[None]]] = [
            self._let_go_of_threads,
            self._compact,
        ]
        steady = self._steady()
        if steady:
            steps.append(self._expire)
        seldom = steady and time.monotonic() - self._seldom_at > SELDOM_SECONDS
        if seldom:
            steps += [self._delete, self._clear]
        for step in steps:
            if time.monotonic() < until:
                await step(due, done, until)
        more = time.monotonic() >= until
        if not more and seldom:
            self._seldom_at = time.monotonic()
        if any(done.values()):
            log.info("cleared away: %s", ", ".join(f"{number} {name}" for name, number in done.items() if number))
        return {**done, "more": more}

    def _steady(self) -> bool:
        """Whether the clock can be believed about ages of weeks. For a day after a jump nothing is let go of for good:
        a clock that is a year ahead would take everything with it, and people see that it is wrong."""
        now, mono = self._kept.time().timestamp(), time.monotonic()
        jump = (now - self._clock[0]) - (mono - self._clock[1])
        self._clock = (now, mono)
        if abs(jump) > JUMP_SECONDS:
            log.warning("the clock jumped by %.0f s: nothing that is kept expires for a day", jump)
            self._distrusted_until = mono + DISTRUST_SECONDS
        return mono >= self._distrusted_until

    def _cutoffs(self) -> Cutoffs:
        return cutoffs(self._terms, self._kept.time())

    async def _let_go_of_threads(self, due: Cutoffs, done: Counter[str], until: float) -> None:
        async for over in self._over(due):
            for thread_id in over:
                # Asked again at the last moment: an incident that is taken up anew needs its thread.
                if self._threads and await self._kept.closed_among([thread_id], due.checkpoints):
                    await self._threads.forget(thread_id)
                    done["checkpoints"] += 1
                if time.monotonic() >= until:
                    return

    async def _over(self, due: Cutoffs) -> AsyncIterator[list[str]]:
        """Threads of incidents that are over."""
        last = ""
        while self._threads and (found := await self._threads.after(last, THREADS_AT_ONCE)):
            last = found[-1]
            yield await self._kept.closed_among(found, due.checkpoints)

    async def _compact(self, due: Cutoffs, done: Counter[str], until: float) -> None:
        if time.monotonic() - self._from_start_at > FROM_THE_START_SECONDS:
            self._from_start_at, self._compacted_to = time.monotonic(), 0.0
        while found := await self._kept.to_compact(due.compact, self._compacted_to, AT_ONCE):
            before = done["compacted"]
            for incident_id, ended in found:
                began = time.monotonic()
                done["compacted"] += await self._compact_one(incident_id)
                self._compacted_to = ended
                if time.monotonic() >= until:
                    return
                await _rest(began)
            if len(found) < AT_ONCE or done["compacted"] == before:
                break
        self._compacted_to = max(self._compacted_to, due.compact.timestamp())

    async def _compact_one(self, incident_id: str) -> bool:
        try:
            found = await self._kept.gather(incident_id)
        except Exception as error:  # a record that can't be read: it must not keep the others from being compacted
            log.exception("incident %s can't be compacted: it is left as it is", incident_id)
            await self._kept.give_up(incident_id, f"{type(error).__name__}: {error}")
            return False
        return found is not None and await self._kept.settle(found) is not None

    async def _expire(self, due: Cutoffs, done: Counter[str], until: float) -> None:
        before = due.evidence
        if before is not None:
            done["evidence_expired"] += await _batches(
                lambda: self._kept.to_expire(before, AT_ONCE), lambda ids: self._kept.expire(ids, before), until
            )

    async def _delete(self, due: Cutoffs, done: Counter[str], until: float) -> None:
        before = due.incidents
        if before is not None:
            done["incidents_deleted"] += await _batches(
                lambda: self._kept.to_delete(before, AT_ONCE), lambda ids: self._kept.forget(ids, before), until
            )

    async def _clear(self, due: Cutoffs, done: Counter[str], until: float) -> None:
        while number := await self._kept.clear_notices(due.compact, THREADS_AT_ONCE):
            done["notices_cleared"] += number
            if time.monotonic() >= until:
                return
        done["texts_cleared"] += await self._kept.clear_texts()


async def _batches(
    find: Callable[[], Awaitable[list[str]]], work: Callable[[list[str]], Awaitable[int]], until: float
) -> int:
    """Find some and work on them, until there are none, or none that can be worked on, or the time is up."""
    total = 0
    while found := await find():
        began = time.monotonic()
        number = await work(found)
        total += number
        if not number or time.monotonic() >= until:
            break
        await _rest(began)
    return total


async def _rest(began: float) -> None:
    """As long as it took: half of the time belongs to the heals."""
    await asyncio.sleep(min(time.monotonic() - began, LONGEST_REST))
