"""The rate of heals that come in waves."""

from __future__ import annotations

import pytest

from evals.bench.rounds import steady_rate

PLACES, SECONDS = 64, 6.0


@pytest.mark.parametrize("rounds", [3, 5, 8])
def test_heals_that_take_no_time_of_ours_reach_the_ideal_though_each_round_ends_at_once(rounds: int) -> None:
    ends = [SECONDS * (number // PLACES + 1) for number in range(rounds * PLACES)]
    assert steady_rate(ends, PLACES) == pytest.approx(PLACES / SECONDS)


def test_a_wave_that_widens_says_what_heals_that_end_evenly_say() -> None:
    rounds, took = 8, 6.6
    waves = sorted(
        took * (number + 1) + (place - PLACES // 2) * 0.02 * (number + 1)
        for number in range(rounds)
        for place in range(PLACES)
    )
    evenly = [took + number * took / PLACES for number in range(rounds * PLACES)]
    assert steady_rate(evenly, PLACES) == pytest.approx(PLACES / took)
    assert steady_rate(waves, PLACES) == pytest.approx(PLACES / took, rel=0.02)


def test_what_comes_late_in_each_round_counts() -> None:
    ends = sorted(6.5 * (number // PLACES + 1) + (number % PLACES) * 0.01 for number in range(5 * PLACES))
    assert steady_rate(ends, PLACES) == pytest.approx(PLACES / 6.5)


def test_two_rounds_are_too_few() -> None:
    with pytest.raises(ValueError, match="at least three rounds"):
        steady_rate([1.0] * 2 * PLACES, PLACES)
