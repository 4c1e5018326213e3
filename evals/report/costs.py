"""What accuracy was paid with: tokens, seconds and money of a case, and the points of the plot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evals.report.rates import Rate, rate_of
from evals.report.scores import runs_of
from evals.report.tables import Cell, Table, mean, named, rated
from evals.results import Evaluation, Results, RunResult


@dataclass(frozen=True)
class Point:
    """One reasoner on the plot. `ours` is the one that was measured, not a baseline."""

    name: str
    cost: float
    rate: Rate
    ours: bool


@dataclass(frozen=True)
class Plot:
    title: str
    axis: str
    points: tuple[Point, ...]


def measured(evaluation: Evaluation) -> tuple[bool, str]:
    """Whether a model was measured, and that in a sentence."""
    results = evaluation.results
    calls = sum(run.model_calls for run in runs_of(results.cases))
    if not calls and results.reasoner == "runbook":
        return (
            False,
            "No model was measured: the runbook reasoner asks none. These figures say nothing about any model.",
        )
    if not calls:
        return False, "No model was measured: none was called. These figures say nothing about any model."
    if not results.measures_a_model:
        return False, (
            f"No model was measured: {calls} answers were scripted, to try the harness and its guards. "
            "These figures say nothing about any model."
        )
    return True, f"A model was measured: {calls} calls in {len(runs_of(results.cases))} runs."


def plots(evaluation: Evaluation) -> tuple[Plot, ...]:
    """By tokens where a model was called, and always by seconds."""
    if not evaluation.results.cases:
        return ()
    by_seconds = Plot("Accuracy by time", "seconds per run", _points(evaluation, _seconds))
    if not any(map(_tokens, runs_of(evaluation.results.cases))):
        return (by_seconds,)
    return Plot("Accuracy by tokens", "tokens per run", _points(evaluation, _tokens)), by_seconds


def _points(evaluation: Evaluation, cost: Callable[[RunResult], float]) -> tuple[Point, ...]:
    return tuple(
        Point(each.reasoner, _per_run(each, cost) or 0.0, rate_of(each.cases), each is evaluation.results)
        for each in (evaluation.results, *evaluation.baselines)
        if each.cases
    )


def _tokens(run: RunResult) -> float:
    return run.input_tokens + run.output_tokens


def _seconds(run: RunResult) -> float:
    return run.seconds


def _per_run(results: Results, cost: Callable[[RunResult], float]) -> float | None:
    return mean([cost(run) for run in runs_of(results.cases)])


def cost_table(evaluation: Evaluation) -> Table:
    return Table(
        "What it cost",
        ("Reasoner", "Passed, both", "Model calls", "Tokens in", "Tokens out", "Dollars", "Seconds per run", "In all"),
        tuple(_row(results) for results in (evaluation.results, *evaluation.baselines)),
        note="Calls, tokens and dollars are of all runs together; seconds per run are of this machine.",
    )


def _row(results: Results) -> tuple[Cell, ...]:
    runs = runs_of(results.cases)
    calls = sum(run.model_calls for run in runs)
    paid = [run.cost_usd for run in runs if run.model_calls]
    known = [cost for cost in paid if cost is not None]
    dollars = "none" if not calls else f"{sum(known):.4f}" if len(known) == len(paid) else "no price known"
    seconds = _per_run(results, _seconds)
    return (
        named(results.reasoner),
        rated(rate_of(results.cases)),
        Cell(str(calls)),
        Cell(f"{sum(run.input_tokens for run in runs):,}"),
        Cell(f"{sum(run.output_tokens for run in runs):,}"),
        Cell(dollars),
        Cell("none" if seconds is None else f"{seconds:.3f}"),
        Cell(f"{results.seconds:.1f} s"),
    )
