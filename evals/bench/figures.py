"""What was measured: one figure with its goal and verdict, the table for people and the JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from rich.table import Table

from evals.bench.goals import GOALS, Goal

Verdict = Literal["pass", "falls short", "not measured"]


@dataclass(frozen=True)
class Measured:
    """A figure. `value` is None where it could not be measured: then `why` says so, else what a reader should know.

    `runs` are the single results that `value` is the median (or the sum, the worst) of.
    """

    value: float | None
    runs: Sequence[float] = ()
    why: str = ""
    where: str = ""
    """Where the time (or the memory) goes, as it was measured in the same run: told where the goal is not reached."""
    detail: Mapping[str, Any] = field(default_factory=dict)


def middle(runs: Sequence[float], where: str = "", **detail: Any) -> Measured:
    """The median of several runs."""
    return Measured(median(runs), tuple(runs), where=where, detail=detail)


def unmeasured(why: str) -> Measured:
    """With the reason."""
    return Measured(None, why=why)


def verdict(goal: Goal, measured: Measured) -> Verdict:
    """Whether the goal is reached."""
    if measured.value is None:
        return "not measured"
    return "pass" if goal.reached(measured.value) else "falls short"


def rows(found: Mapping[str, Measured]) -> list[tuple[Goal, Measured]]:
    """What was measured, in the goals' order."""
    return [(goal, found[goal.name]) for goal in GOALS if goal.name in found]


def as_json(found: Mapping[str, Measured]) -> dict[str, Any]:
    """Figures by name."""
    return {
        goal.name: {
            "value": measured.value,
            "goal": goal.shown,
            "verdict": verdict(goal, measured),
            "says": goal.says,
            "runs": list(measured.runs),
            "number_of_runs": len(measured.runs),
            "note": measured.why,
            "where_it_goes": measured.where,
            **({"detail": dict(measured.detail)} if measured.detail else {}),
        }
        for goal, measured in rows(found)
    }


def table(found: Mapping[str, Measured]) -> Table:
    """Each figure with its goal."""
    made = Table(title="make bench", title_justify="left")
    for heading, justify in (("figure", "left"), ("found", "right"), ("goal", "right"), ("", "left"), ("what", "left")):
        made.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    colours = {"pass": "green", "falls short": "red", "not measured": "yellow"}
    for goal, measured in rows(found):
        said = verdict(goal, measured)
        where = f"where it goes: {measured.where}" if said == "falls short" and measured.where else ""
        what = "; ".join(filter(None, (goal.says, measured.why, where)))
        colour = f"[{colours[said]}]{said}[/]"
        made.add_row(goal.name, _shown(measured.value), goal.shown, colour, what)
    return made


def _shown(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
