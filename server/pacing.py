"""How many legs are begun at a time. Accepting comes first: what is not on disk can be lost, a repair comes later."""

from __future__ import annotations

from collections.abc import Callable

from server.clock_watch import elapsed

AT_A_TIME = 1
"""Legs taken in one transaction: processes that are as idle share what came in at once, and no alert waits for long."""
MOST_BEHIND = 4
"""Legs in one transaction where some should have begun earlier."""
IN_A_STORM_SECONDS = 0.5
IN_A_LONG_STORM_SECONDS = 0.125
"""Between the beginnings of two legs. Thirty heals at once would leave alerts a tenth of what is taken on otherwise."""


class Pacing:
    """In quiet times nothing waits. While alerts storm in, a leg is begun where none is under way; beyond `patience`
    (seconds), as a storm may last, some a second whatever is under way."""

    def __init__(self, patience: float, clock: Callable[[], float] = elapsed) -> None:
        self._patience = patience
        self._clock = clock
        self._storms_since: float | None = None
        self._began = clock() - IN_A_STORM_SECONDS

    def room(self, storming: bool, under_way: int) -> int:
        """How many to begin now."""
        if not storming:
            self._storms_since = None
            return AT_A_TIME
        now = self._clock()
        if self._storms_since is None:
            self._storms_since = now
        since = now - self._began
        if now - self._storms_since > self._patience:
            return min(MOST_BEHIND, int(since / IN_A_LONG_STORM_SECONDS))
        return 0 if under_way or since < IN_A_STORM_SECONDS else 1

    def began(self) -> None:
        """Some are begun."""
        self._began = self._clock()
