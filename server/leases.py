"""What this process may still believe of its own leases, without asking anybody.

A process that was stopped and goes on believes that it is still the one. Its clock tells it better: a lease that was
not renewed in time is lost, and nothing of that heal may be written any more, or two threads' states would mix.
"""

from __future__ import annotations

import time

from graph.journal import LeaseLost


class HeldLeases:
    """The leases of this process, by holder."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def keep(self, holder: str, seconds: float, asked_at: float) -> None:
        """It was given at `asked_at` (see `elapsed`) or later, for so long."""
        self._until[holder] = asked_at + seconds

    def drop(self, holder: str) -> None:
        self._until.pop(holder, None)

    def check(self, holder: str) -> None:
        """Raises LeaseLost where the lease is not known to be ours now."""
        if self._until.get(holder, 0.0) <= elapsed():
            raise LeaseLost(f"the lease of {holder} was not renewed in time: another worker may have taken over")


def elapsed() -> float:
    """Seconds on a clock that nobody sets, and that goes on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
