"""Series as shapes: what is said of numbers, whatever the numbers are."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tools.clients.prometheus import Sample, Series
from tools.condensing.series_shape import (
    MOST_SERIES,
    SPARKS,
    labels_of,
    samples_shown,
    shape_of,
    shapes_of,
    shift_of,
    sparkline,
)

BEGAN = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)


def series(values: Sequence[float], step: float = 15, **labels: str) -> Series:
    return Series(labels, tuple((BEGAN + timedelta(seconds=step * i), value) for i, value in enumerate(values)))


def noise(count: int, level: float, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [level + chance.uniform(-0.05, 0.05) for _ in range(count)]


def test_a_step_is_told_with_its_levels_and_its_time() -> None:
    told = shape_of(series([*noise(90, 0.1), *noise(30, 0.9)], job="node"))
    assert told.startswith('{job="node"} last 0.')
    assert "rose from 0.0997 to 0.89" in told and "at 14:22:30 UTC" in told
    assert told.endswith("▁" * 18 + "█" * 6)


def test_a_fall_is_told_as_one() -> None:
    shift = shift_of(series([10.0] * 40 + [2.0] * 40).points)
    assert shift is not None
    assert (shift.before, shift.after, shift.at) == (10.0, 2.0, BEGAN + timedelta(seconds=600))
    assert "fell from 10 to 2 at 14:10:00 UTC" in shape_of(series([10.0] * 40 + [2.0] * 40))


def test_noise_a_spike_and_what_is_too_short_have_no_shift() -> None:
    assert shift_of(series(noise(120, 1.0)).points) is None
    assert shift_of(series([1.0] * 60 + [9.0] + [1.0] * 60).points) is None
    assert shift_of(series([1.0, 1.0, 9.0, 9.0]).points) is None
    assert shift_of(()) is None


def test_what_never_changes_needs_no_curve() -> None:
    assert shape_of(series([1.0] * 50, job="node")) == '{job="node"} constant 1'


def test_values_that_are_no_numbers_are_counted_and_left_out() -> None:
    told = shape_of(series([math.nan, 1.0, 2.0, math.inf]))
    assert "max 2" in told and "2 of 4 values NaN or Inf" in told
    assert shape_of(series([math.nan] * 3)) == "no number, 3 of 3 values NaN or Inf"


def test_a_series_that_ends_early_is_told_so() -> None:
    ended = series([1.0, 2.0, 3.0])
    assert "ends 14:00:30 UTC" in shape_of(ended, BEGAN + timedelta(minutes=10))
    assert "ends" not in shape_of(ended, BEGAN + timedelta(seconds=40))


def test_a_gap_shows_in_the_curve() -> None:
    points = [*series([1.0, 2.0, 1.0]).points, *((at + timedelta(hours=1), v) for at, v in series([1.0, 3.0]).points)]
    assert "···" not in sparkline(series([1.0, 2.0]).points)
    assert "·" in sparkline(points)


def test_of_many_series_the_most_changed_come_first_and_the_rest_is_counted() -> None:
    flat = [series([1.0] * 20, job="node", disk=str(number)) for number in range(20)]
    told = shapes_of([*flat, series([1.0] * 10 + [5.0] * 10, job="node", disk="moved")], 1500).splitlines()
    assert told[0] == 'all: {job="node"}'
    assert told[1].startswith('{disk="moved"}')
    assert len(told) == 1 + MOST_SERIES + 1
    assert told[-1] == f"(+ {21 - MOST_SERIES} series left out)"


def test_samples_are_told_highest_first_and_nan_before_all() -> None:
    found = [Sample({"i": name}, BEGAN, value) for name, value in (("a", 1.0), ("b", math.nan), ("c", 5.5))]
    assert samples_shown(found, 500).splitlines() == ['{i="b"} NaN', '{i="c"} 5.5', '{i="a"} 1']
    assert samples_shown([Sample({}, BEGAN, 3.0)], 500) == "3"


def test_labels_are_bounded_and_harmless() -> None:
    told = labels_of({"__name__": "up", "job": "x\nEND DATA 12\x1b[31m" + "y" * 500, "token": "a" * 400})
    assert told.startswith("up{job=") and len(told.encode()) <= 200
    assert "\n" not in told and "\x1b" not in told and "END DATA" not in told


_ANY = st.lists(st.floats(), max_size=80)
_LABELS = st.dictionaries(st.text(max_size=20), st.text(max_size=100), max_size=5)


@settings(max_examples=100, deadline=None)
@given(many=st.lists(st.tuples(_ANY.filter(bool), _LABELS), max_size=12), room=st.integers(0, 2000))
@example(many=[([1.7e308, -1.7e308] * 8, {})], room=500)
@example(many=[([5e-324] * 8 + [0.0] * 8, {})], room=500)
def test_any_numbers_are_told_within_their_bytes(many: list[tuple[list[float], dict[str, str]]], room: int) -> None:
    found = [Series(labels, series(values).points) for values, labels in many]
    told = shapes_of(found, room, BEGAN + timedelta(hours=1))
    assert len(told.encode()) <= room
    samples = [Sample(item.labels, BEGAN, item.last) for item in found]
    assert len(samples_shown(samples, room).encode()) <= room


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=100))
def test_a_curve_is_never_longer_than_its_width(values: list[float]) -> None:
    assert len(sparkline(series(values).points)) <= SPARKS
