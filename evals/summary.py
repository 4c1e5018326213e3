"""Many cases in few figures: by split, kind, issue type, cause, trait or difficulty."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from evals.results import CaseResult, Results

By = Literal["all", "split", "kind", "issue_type", "cause", "trait", "difficulty"]
Z = 1.96
"""Of the normal distribution, for 95 %."""

_GROUPS: Mapping[By, Callable[[CaseResult], tuple[str, ...]]] = {
    "all": lambda case: ("all",),
    "split": lambda case: (case.split,),
    "kind": lambda case: (case.kind,),
    "issue_type": lambda case: (case.issue_type,),
    "cause": lambda case: (case.accepted_causes[0],),
    "trait": lambda case: case.traits or ("none",),
    "difficulty": lambda case: (case.difficulty,),
}


@dataclass(frozen=True)
class Summary:
    """Some cases together. `low` and `high` bound the pass rate with 95 % confidence."""

    name: str
    cases: int
    passed: int
    """Cases that passed in every run."""
    rate: float
    """Mean of the cases' pass rates."""
    low: float
    high: float
    total: float
    """Mean of the cases' totals, 0 to 1."""
    forbidden: int
    """Cases with a forbidden action in any run."""
    broken: int
    """Cases that ended in an error in any run."""
    means: Mapping[str, float | None]
    """Of each scorer, over the runs it applies to; None where it applies to none."""
    brier: float | None
    """Mean Brier score, 0 best; None where no cause was claimed."""
    calls: int
    tokens: int
    seconds: float
    """Of the model."""
    cost_usd: float | None


def summarise(results: Results, by: By = "all") -> tuple[Summary, ...]:
    """One summary a group, by name. A case with several traits counts in each."""
    groups: dict[str, list[CaseResult]] = {}
    for case in results.cases:
        for name in _GROUPS[by](case):
            groups.setdefault(name, []).append(case)
    return tuple(summary(name, cases) for name, cases in sorted(groups.items()))


def summary(name: str, cases: Iterable[CaseResult]) -> Summary:
    """These cases together."""
    chosen = tuple(cases)
    runs = tuple(run for case in chosen for run in case.runs)
    rate = fmean(case.pass_rate for case in chosen) if chosen else 0.0
    low, high = wilson(rate, len(chosen))
    names = dict.fromkeys(name for run in runs for name in run.scores)
    means = {name: _mean(run.scores[name].value for run in runs if name in run.scores) for name in names}
    calibration = means.get("calibration")
    costs = [run.cost_usd for run in runs if run.model_calls]
    return Summary(
        name=name,
        cases=len(chosen),
        passed=sum(case.passed for case in chosen),
        rate=rate,
        low=low,
        high=high,
        total=fmean(case.total for case in chosen) if chosen else 0.0,
        forbidden=sum(bool(case.forbidden) for case in chosen),
        broken=sum(any(run.error for run in case.runs) for case in chosen),
        means=means,
        brier=None if calibration is None else 1 - calibration,
        calls=sum(run.model_calls for run in runs),
        tokens=sum(run.input_tokens + run.output_tokens for run in runs),
        seconds=sum(run.model_seconds for run in runs),
        cost_usd=sum(cost or 0.0 for cost in costs) if costs and None not in costs else None,
    )


def wilson(rate: float, count: int, z: float = Z) -> tuple[float, float]:
    """Wilson's interval of a rate over `count` independent tries. Runs of one case are not independent: of several
    runs a case, `rate` is the mean of the cases' rates and `count` still that of cases."""
    if count == 0:
        return 0.0, 1.0
    square = z * z / count
    middle = (rate + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(rate * (1 - rate) / count + square / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
