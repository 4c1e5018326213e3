"""Notices that this machine's clock jumped: set by hand or by a late NTP, or stood still while the machine slept."""

from __future__ import annotations

import time
from collections.abc import Callable


class ClockWatch:
    """Compares the wall clock with the one that only counts. Both in seconds."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._ahead = wall() - monotonic()

    def jumped(self) -> float:
        """By how many seconds the wall clock was set forward (back: negative) since this was last asked."""
        before, self._ahead = self._ahead, self._wall() - self._monotonic()
        return self._ahead - before
