"""The groups of figures, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evals.bench import accepting, crashing, healed, heals, history, resting, scaling, storm
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
    Group("kill9", crashing.NAMES, crashing.measure, healed.SETTINGS),
    Group("first-action", heals.FIRST, heals.first_action),
    Group("overhead", heals.OVERHEAD, heals.overhead, healed.SETTINGS),
    Group("rate", heals.RATE, heals.rate, healed.SETTINGS),
    Group(
        "model",
        heals.MODEL,
        heals.model,
        f"{healed.SETTINGS}; worker_concurrency: 64 (as many as are in flight); no budget",
    ),
    Group("resting", resting.NAMES, resting.measure, healed.SETTINGS),
    Group("history", history.NAMES, history.measure, healed.SETTINGS),
    Group(
        "scale",
        scaling.NAMES,
        scaling.measure,
        f"{healed.SETTINGS}; {scaling.SETTINGS}",
    ),
)
