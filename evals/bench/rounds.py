"""How many heals a second, when as many as there are places for begin together and so end together, in waves."""

from __future__ import annotations

from collections.abc import Sequence


def steady_rate(ends: Sequence[float], places: int) -> float:
    """Heals a second while all `places` are taken, from the times at which they ended, in seconds and in order.

    Over whole rounds, from the middle of the first to the middle of the last but one. Part of a round would say when
    waves come, not how fast: from the end of one to the middle of the third lie one and a half, in the time of two.
    """
    rounds = len(ends) // places - 2
    if rounds < 1:
        raise ValueError(f"{len(ends)} ends of {places} places: at least three rounds are needed")
    first = places // 2
    last = first + rounds * places
    return rounds * places / (ends[last] - ends[first])
