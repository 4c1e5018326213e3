"""Round numbers for axes, and numbers and times in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

_TIME_STEPS = (5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)
_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_IEC = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def value_ticks(low: float, high: float, most: int = 4, binary: bool = False) -> tuple[float, ...]:
    """Round values that cover `low` to `high`: the first is at most, the last at least as far."""
    if high <= low:
        pad = abs(high) * 0.1 or 1.0
        low, high = low - pad if low < 0 else max(0.0, low - pad), high + pad
    step = _nice((high - low) / (most - 1), 1024.0 if binary else 10.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def _nice(rough: float, base: float) -> float:
    power = base ** math.floor(math.log(rough, base))
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1024) if base == 1024.0 else (1, 2, 2.5, 5, 10)
    return power * next((step for step in steps if step * power >= rough * 0.999), steps[-1])


def time_ticks(start: float, end: float, most: int = 5) -> tuple[float, ...]:
    """Round UTC times between `start` and `end`."""
    step = next((step for step in _TIME_STEPS if (end - start) / step <= most), _TIME_STEPS[-1])
    first = math.ceil(start / step)
    return tuple(index * float(step) for index in range(first, math.floor(end / step) + 1))


def clock(at: float, span: float) -> str:
    """`14:05`; with seconds in a short span, with the day in a long one."""
    moment = datetime.fromtimestamp(at, UTC)
    if span <= 300:
        return f"{moment:%H:%M:%S}"
    return (
        f"{moment:%H:%M}" if span <= 36 * 3600 else f"{moment:%d %b %H:%M}" if span <= 7 * 86_400 else f"{moment:%d %b}"
    )


def number(value: float, in_bytes: bool = False, step: float | None = None) -> str:
    """`1.5k`, `340`, `0.02`, or `12 MiB`. On an axis as exact as its `step` needs."""
    for size, unit in _IEC if in_bytes else _SI:
        if abs(value) >= size:
            return f"{_digits(value / size, None if step is None else step / size)}{' ' if in_bytes else ''}{unit}"
    return f"{_digits(value, step)}{' B' if in_bytes and step is None else ''}"


def _digits(value: float, step: float | None) -> str:
    if step is not None:
        shown = next((f"{value:.{places}f}" for places in range(4) if _whole(step * 10**places)), f"{value:.4g}")
    elif value and abs(value) < 0.001:
        shown = f"{value:.1e}"
    else:
        shown = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{float(shown):g}" if float(shown) == 0 else shown


def _whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-6 * max(1.0, abs(value))


def is_state(values: Sequence[float]) -> bool:
    """Whether it is a yes or no over time."""
    return bool(values) and all(value in (0.0, 1.0) for value in values)
