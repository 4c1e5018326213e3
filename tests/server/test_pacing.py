"""How many legs are begun while alerts storm in."""

from __future__ import annotations

import pytest

from server.pacing import AT_A_TIME, IN_A_LONG_STORM_SECONDS, IN_A_STORM_SECONDS, MOST_BEHIND, Pacing


class Clock:
    """A clock that is set by hand, in seconds."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pacing(clock: Clock) -> Pacing:
    return Pacing(20.0, clock)


def test_in_quiet_times_nothing_waits(pacing: Pacing) -> None:
    pacing.began()
    assert pacing.room(storming=False, under_way=30) == AT_A_TIME


def test_in_a_storm_one_is_begun_where_none_is_under_way(clock: Clock, pacing: Pacing) -> None:
    assert (pacing.room(True, under_way=0), pacing.room(True, under_way=1)) == (1, 0)
    pacing.began()
    assert pacing.room(True, under_way=0) == 0
    clock.now += IN_A_STORM_SECONDS
    assert pacing.room(True, under_way=0) == 1


def test_in_a_long_storm_some_a_second_are_begun_whatever_is_under_way(clock: Clock, pacing: Pacing) -> None:
    pacing.room(True, under_way=0)
    clock.now += 21
    pacing.began()
    assert pacing.room(True, under_way=0) == 0
    begun = 0
    for _ in range(40):
        clock.now += 2 * IN_A_LONG_STORM_SECONDS
        begun += pacing.room(True, under_way=31)
        pacing.began()
    assert begun == 80
    clock.now += 60
    assert pacing.room(True, under_way=31) == MOST_BEHIND


def test_the_next_storm_has_a_patience_of_its_own(clock: Clock, pacing: Pacing) -> None:
    pacing.room(True, under_way=0)
    clock.now += 21
    assert pacing.room(True, under_way=5) == MOST_BEHIND
    pacing.room(False, under_way=5)
    assert pacing.room(True, under_way=5) == 0
