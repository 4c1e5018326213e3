"""How long what comes back again and again is held down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from graph.rules.flapping import Damping, Turn, hold

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DOWN = frozenset({"ServiceDown"})
MINUTE = timedelta(minutes=1)


def turns(count: int, every: int = 5, lasts: int = 1, names: frozenset[str] = DOWN) -> list[Turn]:
    """So many turns before noon, one each so many minutes."""
    starts = [NOON - every * MINUTE * (count - number) for number in range(count)]
    return [Turn(at, at + lasts * MINUTE, names) for at in starts]


@pytest.mark.parametrize(
    ("earlier", "minutes"), [(0, None), (1, None), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (30, 60)]
)
def test_the_hold_doubles_from_the_third_time_up_to_its_longest(earlier: int, minutes: int | None) -> None:
    held = hold(NOON, DOWN, turns(earlier), Damping(), NOON)
    assert (held and held.until - NOON) == (minutes and minutes * MINUTE)


def test_the_reason_says_how_often_since_when_and_until_when() -> None:
    held = hold(NOON, DOWN, turns(3), Damping(), NOON)
    assert held is not None and held.rule == "flapping"
    assert held.reason == (
        "flapping: in trouble 4 times in a row since 11:45 UTC, held down for 4 min until 12:04:00 UTC"
    )


def test_once_held_so_long_it_is_repaired() -> None:
    assert hold(NOON, DOWN, turns(2), Damping(), NOON + 2 * MINUTE) is None


def test_a_longer_time_of_health_ends_the_row() -> None:
    assert hold(NOON, DOWN, turns(4, every=17), Damping(), NOON) is None
    assert hold(NOON, DOWN, turns(4, every=17, lasts=3), Damping(), NOON) is not None


def test_another_trouble_of_the_same_resource_is_no_flapping() -> None:
    assert hold(NOON, DOWN, turns(4, names=frozenset({"DiskFull"})), Damping(), NOON) is None
