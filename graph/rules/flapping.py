"""Flapping: what comes back as soon as it was well is held down before it is repaired again, longer each time.

Another repair of the same sort would end as the last ones did, and a resource that is always being restarted is down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from graph.ports import Hold

MOST_DOUBLINGS = 20


@dataclass(frozen=True)
class Damping:
    """When a resource flaps: `times` in a row, well for at most `quiet` between; held `hold`, doubled each time."""

    times: int = 3
    quiet: timedelta = timedelta(minutes=15)
    hold: timedelta = timedelta(minutes=2)
    longest: timedelta = timedelta(minutes=60)


@dataclass(frozen=True)
class Turn:
    """Once in trouble: from the first alert to the end of its heal, and the names of its alerts."""

    opened: datetime
    ended: datetime
    names: frozenset[str] = frozenset()


def hold(
    opened: datetime, names: frozenset[str], earlier: Sequence[Turn], damping: Damping, now: datetime
) -> Hold | None:
    """Why what was opened (or opened again) then must wait, and until when; None where it does not flap, or has waited.

    `earlier`: the turns of the same resource before this one, in any order. Those of other alerts don't count.
    """
    row = _in_a_row(opened, names, earlier, damping.quiet)
    times = len(row) + 1
    if times < damping.times:
        return None
    lasts = min(damping.hold * 2 ** min(times - damping.times, MOST_DOUBLINGS), damping.longest)
    until = opened + lasts
    if now >= until:
        return None
    since = row[-1].opened if row else opened
    reason = (
        f"flapping: in trouble {times} times in a row since {since:%H:%M} UTC, "
        f"held down for {lasts.total_seconds() / 60:g} min until {until:%H:%M:%S} UTC"
    )
    return Hold("flapping", reason, until)


def _in_a_row(opened: datetime, names: frozenset[str], earlier: Sequence[Turn], quiet: timedelta) -> list[Turn]:
    """The turns that led to this one without a longer time of health between, latest first."""
    row: list[Turn] = []
    next_opened = opened
    for turn in sorted(earlier, key=lambda turn: turn.opened, reverse=True):
        if turn.opened > opened or not (turn.names & names or not turn.names):
            continue
        if next_opened - turn.ended > quiet:
            break
        row.append(turn)
        next_opened = turn.opened
    return row
