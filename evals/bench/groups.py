"""The groups of figures, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evals.bench import accepting, storm
from evals.bench.bench import Bench
from evals.bench.figures import Measured


@dataclass(frozen=True)
class Group:
    """Figures that are measured together. `settings` are those that are not the shipped defaults, with the reason."""

    name: str
    figures: tuple[str, ...]
    measure: Callable[[Bench], dict[str, Measured]]
    settings: str = ""


GROUPS: tuple[Group, ...] = (
    Group("accept", accepting.NAMES, accepting.measure),
    Group("storm", ("storm_incidents", "storm_total", "storm_seconds", "probe_max_ms", "burst_dropped"), storm.measure),
)
