"""What may be concluded from two times by a clock that jumps.

Times in the store are the wall clock's, as several machines and restarts share them; so a clock that is set back or
forward meanwhile must neither keep what waits waiting for hours, nor make time pass that nobody saw.
"""

from __future__ import annotations

from datetime import datetime, timedelta

SET_BACK = timedelta(seconds=60)
"""What was written so far ahead of now was written before the clock was set back; clocks of machines differ by less."""
LATE = timedelta(seconds=60)
"""A look may come so late because workers are busy."""


def set_back_since(at: datetime, now: datetime) -> bool:
    """Whether the clock was set back since it showed `at`, so that nothing is known of how long ago that was."""
    return at > now + SET_BACK


def unseen(last: datetime, planned: datetime, now: datetime) -> timedelta:
    """How much of the time since the last look must not be counted, as it can't have passed, or nobody looked.

    Negative where the clock was set back: then so much passed as was planned, for all that is known.
    """
    if last <= now <= planned + LATE:
        return timedelta(0)
    return now - planned
