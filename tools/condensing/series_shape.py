"""A series of numbers as its shape: range, last value, when its level shifted, and a line to look at.

Two hundred points cost a model thousands of tokens, and it reads them badly; what it asks of them is said here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tools.clients.prometheus import Sample, Series
from tools.condensing.plain_text import one_line, size, within

SPARKS = 24
MOST_SERIES = 8
_BLOCKS = "▁▂▃▄▅▆▇█"
_GAP = "·"
_LABEL_BYTES = 60
_LABELS_BYTES = 200
_LEAST_POINTS = 8
_LEAST_SIDE = 2
_CLEAR_SHARE = 0.6
"""Of all variance, what a shift must explain to be told."""
_CLEAR_DEVIATIONS = 3.0
"""By how many deviations of what remains the two levels must differ."""

Points = Sequence[tuple[datetime, float]]


@dataclass(frozen=True)
class Shift:
    """The level changed at `at`, from the mean `before` to the mean `after`. `share` of the variance is explained."""

    at: datetime
    before: float
    after: float
    share: float


def shape_of(series: Series, ends: datetime | None = None, left: Mapping[str, str] | None = None) -> str:
    """`{job="node"} last 0.97, 0.01..0.98, rose from 0.02 to 0.95 at 14:02:10 UTC ▁▁▁▇█`.

    `ends` is where the window ends: a series that ended before is told as such. `left` are the labels to show; all by
    default. NaN and infinite values are counted and otherwise left out.
    """
    name = labels_of(series.labels if left is None else left)
    points = [(at, value) for at, value in series.points if math.isfinite(value)]
    odd = len(series.points) - len(points)
    words = [*_numbers(points), *([f"{odd} of {len(series.points)} values NaN or Inf"] if odd else [])]
    if ends is not None and (stopped := _stopped(series.points, ends)):
        words.append(f"ends {stopped:%H:%M:%S} UTC")
    return " ".join(part for part in (name, ", ".join(words), sparkline(points)) if part)


def shapes_of(found: Sequence[Series], max_bytes: int, ends: datetime | None = None) -> str:
    """One line a series, the most changed first, at most MOST_SERIES and `max_bytes` of UTF-8; labels that all share
    are told once."""
    shared = _shared([series.labels for series in found]) if len(found) > 1 else {}
    told = [shape_of(item, ends, _without(item.labels, shared)) for item in sorted(found, key=_by_change)[:MOST_SERIES]]
    return _lines(told, shared, len(found), max_bytes)


def samples_shown(found: Sequence[Sample], max_bytes: int) -> str:
    """One line a sample, highest first, at most twice MOST_SERIES and `max_bytes` of UTF-8."""
    shared = _shared([sample.labels for sample in found]) if len(found) > 1 else {}
    ranked = sorted(found, key=lambda sample: (_rank(sample.value), sorted(sample.labels.items())))
    told = [
        f"{labels_of(_without(sample.labels, shared))} {number(sample.value)}".strip()
        for sample in ranked[: 2 * MOST_SERIES]
    ]
    return _lines(told, shared, len(found), max_bytes)


def shift_of(points: Points) -> Shift | None:
    """Where the mean shifted most, if that explains the series well; values must be finite."""
    scale = max((abs(value) for _, value in points), default=0.0)
    if len(points) < _LEAST_POINTS or scale == 0:
        return None
    values = [value / scale for _, value in points]  # of any size, without overflow
    count, total = len(values), math.fsum(values)
    spread = math.fsum((value - total / count) ** 2 for value in values)
    if spread < 1e-18:
        return None
    best, split, sum_before, running = 0.0, 0, 0.0, 0.0
    for index, value in enumerate(values[:-_LEAST_SIDE], 1):
        running += value
        if index < _LEAST_SIDE:
            continue
        between = (running / index - (total - running) / (count - index)) ** 2 * index * (count - index) / count
        if between > best:
            best, split, sum_before = between, index, running
    share = min(1.0, best / spread)
    before, after = sum_before / max(1, split), (total - sum_before) / (count - split)
    deviation = math.sqrt(max(0.0, spread - best) / count)
    if share < _CLEAR_SHARE or abs(after - before) < _CLEAR_DEVIATIONS * deviation:
        return None
    return Shift(points[split][0], before * scale, after * scale, share)


def sparkline(points: Points, width: int = SPARKS) -> str:
    """Means of equal spans of time as blocks, `·` where there was no value; nothing for what never changed."""
    low, high = _range(points)
    if len(points) < 2 or low == high or points[0][0] == points[-1][0]:
        return ""
    began, seconds = points[0][0], (points[-1][0] - points[0][0]).total_seconds()
    spans: list[list[float]] = [[] for _ in range(min(width, len(points)))]
    for at, value in points:
        spans[min(len(spans) - 1, int((at - began).total_seconds() / seconds * len(spans)))].append(value)
    return "".join(_block(span, low, high) for span in spans)


def number(value: float) -> str:
    """Four figures, or NaN and Inf as Prometheus writes them."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e7 else f"{value:.4g}"


def labels_of(labels: Mapping[str, str]) -> str:
    """`up{job="node"}`, bounded."""
    name = one_line(labels.get("__name__", ""), _LABEL_BYTES)
    inside = ",".join(
        f'{one_line(key, 40)}="{one_line(value, _LABEL_BYTES)}"'
        for key, value in sorted(labels.items())
        if key != "__name__"
    )
    return within(f"{name}{{{inside}}}" if inside else name, _LABELS_BYTES)


# -- how -------------------------------------------------------------------------------------------------


def _numbers(points: Points) -> list[str]:
    if not points:
        return ["no number"]
    low, high = _range(points)
    if low == high:
        return [f"constant {number(low)}" if len(points) > 1 else number(low)]
    words = [f"last {number(points[-1][1])}", f"min {number(low)}", f"max {number(high)}"]
    if shift := shift_of(points):
        verb = "rose" if shift.after > shift.before else "fell"
        words.append(f"{verb} from {number(shift.before)} to {number(shift.after)} at {shift.at:%H:%M:%S} UTC")
    return words


def _range(points: Points) -> tuple[float, float]:
    values = [value for _, value in points]
    return (min(values), max(values)) if values else (0.0, 0.0)


def _block(span: Sequence[float], low: float, high: float) -> str:
    if not span:
        return _GAP
    # each is divided first, as the sum or the difference of huge numbers would overflow
    mean = math.fsum(value / len(span) for value in span)
    height = (mean / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.0
    return _BLOCKS[max(0, min(len(_BLOCKS) - 1, int(height * len(_BLOCKS))))]


def _stopped(points: Points, ends: datetime) -> datetime | None:
    """When the series ended, where that is well before the window does."""
    if not points:
        return None
    steps = [(later[0] - earlier[0]).total_seconds() for earlier, later in itertools.pairwise(points)]
    step = min(steps, default=30.0)
    last = points[-1][0]
    return last if (ends - last).total_seconds() > max(2.5 * step, 1.0) else None


def _by_change(series: Series) -> tuple[float, float, list[tuple[str, str]]]:
    points = [(at, value) for at, value in series.points if math.isfinite(value)]
    shift = shift_of(points)
    low, high = _range(points)
    biggest = max(abs(low), abs(high))
    spread = high / biggest - low / biggest if biggest else 0.0
    return (-(shift.share if shift else 0.0), -spread, sorted(series.labels.items()))


def _rank(value: float) -> float:
    """What is no number comes first: it is telling."""
    return -math.inf if math.isnan(value) else -value


def _shared(labels: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *rest = labels
    return {key: value for key, value in first.items() if all(item.get(key) == value for item in rest)}


def _without(labels: Mapping[str, str], shared: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key not in shared}


def _lines(told: Sequence[str], shared: Mapping[str, str], found: int, max_bytes: int) -> str:
    head = [f"all: {labels_of(shared)}"] if shared else []
    room = max_bytes - size(f"(+ {found} series left out)\n") - sum(size(line) + 1 for line in head)
    kept: list[str] = []
    for line in told:
        if kept and size(line) + 1 > room:
            break
        kept.append(line)
        room -= size(line) + 1
    note = [f"(+ {found - len(kept)} series left out)"] if found > len(kept) else []
    return within("\n".join([*head, *kept, *note]), max_bytes)
