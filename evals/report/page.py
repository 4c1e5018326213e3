"""All that a report says, once, before it is HTML or Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evals.gate import Baseline
from evals.report import comparing, confusion, costs, scores
from evals.report.comparing import Change, Difference
from evals.report.rates import Rate, of_split, rate_of
from evals.report.tables import Table
from evals.results import CaseResult, Evaluation


@dataclass(frozen=True)
class Told:
    """One case with what the list of cases marks it by."""

    case: CaseResult
    passed: bool
    change: Change | None
    not_recorded: int


@dataclass(frozen=True)
class Page:
    evaluation: Evaluation
    model_measured: bool
    about_models: str
    train: Rate
    test: Rate
    forbidden: int
    broken: int
    not_recorded: int
    runs: int
    differences: tuple[Difference, ...] | None
    """None where there is no baseline."""
    tables: tuple[Table, ...]
    """Scores, in the order in which they are shown."""
    groups: tuple[Table, ...]
    mistakes: Table
    matrices: tuple[Table, ...]
    diff: Table
    plots: tuple[costs.Plot, ...]
    costs: Table
    cases: tuple[Told, ...]
    """Those that failed first."""

    @property
    def changes(self) -> Mapping[Change, int]:
        return comparing.counts(self.differences or ())


def page_of(evaluation: Evaluation, baseline: Baseline | None) -> Page:
    cases = evaluation.results.cases
    runs = scores.runs_of(cases)
    found = None if baseline is None else comparing.differences(cases, baseline)
    model_measured, about_models = costs.measured(evaluation)
    changed = {each.case_id: each.change for each in found or ()}
    told = (_told(case, changed.get(case.id)) for case in cases)
    return Page(
        evaluation=evaluation,
        model_measured=model_measured,
        about_models=about_models,
        train=rate_of(of_split(cases, "train")),
        test=rate_of(of_split(cases, "test")),
        forbidden=sum(bool(run.forbidden) for run in runs),
        broken=sum(bool(run.error) for run in runs),
        not_recorded=sum(len(run.not_recorded) for run in runs),
        runs=len(runs),
        differences=found,
        tables=(scores.by_split(evaluation), scores.by_scorer(cases)),
        groups=tuple(scores.by_group(cases, *group) for group in scores.GROUPS),
        mistakes=confusion.mistakes(cases),
        matrices=confusion.matrices(cases),
        diff=comparing.diff_table(found or (), baseline, evaluation.results.reasoner),
        plots=costs.plots(evaluation),
        costs=costs.cost_table(evaluation),
        cases=tuple(sorted(told, key=lambda each: (each.passed, each.case.id))),
    )


def _told(case: CaseResult, change: Change | None) -> Told:
    return Told(
        case,
        case.passed,
        change,
        sum(len(run.not_recorded) for run in case.runs),
    )
