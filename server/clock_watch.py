"""This machine's clocks: one that only counts, and whether the one on the wall has jumped."""

from __future__ import annotations

import time
from collections.abc import Callable


def elapsed() -> float:
    """Seconds on a clock that nobody sets. It goes on while the machine is suspended: who slept must know it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClockWatch:
    """Compares the wall clock with the one that only counts. Both in seconds."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._ahead = wall() - monotonic()

    def jumped(self) -> float:
        """By how many seconds the wall clock was set forward (back: negative) since this was last asked."""
        before, self._ahead = self._ahead, self._wall() - self._monotonic()
        return self._ahead - before
