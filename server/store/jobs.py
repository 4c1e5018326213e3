"""What waits for the store's writer, and what of it shares a commit.

Alerts go first, and no commit is kept open for long: who posts an alert waits for the commit that is under way and for
its own, however much the heals have to write.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

Work = Callable[[Connection], Any]

SLICE_SECONDS = 0.004
"""After which a commit takes nothing more in."""
MOST_IN_ONE_COMMIT = 256


@dataclass(frozen=True, eq=False)
class Job:
    """Something to write; `done` tells once it is on disk, or why it is not. `first`: it goes before what does not."""

    work: Work
    first: bool = False
    done: Future[Any] = field(default_factory=Future)


class Jobs:
    """Put in by any thread, taken by the writer alone."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._came: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._first: deque[Job] = deque()
        self._others: deque[Job] = deque()
        self._last = False

    def put(self, job: Job) -> None:
        """It waits from now on."""
        self._came.put(job)

    def end(self) -> None:
        """What is put in from now on is not taken any more."""
        self._came.put(None)

    def wait(self) -> int:
        """Until something waits: how much. 0 where nothing does and nothing will."""
        if not self._first and not self._others and not self._last:
            self._sort(self._came.get())
        self._look()
        return len(self._first) + len(self._others)

    def take(self) -> Iterator[Job]:
        """For one commit, one after the other as each is written: at least one, if any waits."""
        until = self._clock() + SLICE_SECONDS
        for taken in range(MOST_IN_ONE_COMMIT):
            self._look()
            if not self._first and (not self._others or (taken and self._clock() >= until)):
                return
            yield (self._first or self._others).popleft()

    def _look(self) -> None:
        while not self._last:
            try:
                self._sort(self._came.get_nowait())
            except queue.Empty:
                return

    def _sort(self, job: Job | None) -> None:
        if job is None:
            self._last = True
        else:
            (self._first if job.first else self._others).append(job)
