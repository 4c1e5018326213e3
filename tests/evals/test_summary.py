"""Many cases in few figures, with how sure they are."""

from __future__ import annotations

from typing import Any

import pytest

from evals.results import CaseResult, Results, RunResult, Score
from evals.summary import summarise, wilson


def run(passed: bool, total: float = 1.0, number: int = 1, **more: Any) -> RunResult:
    scores = {"cause": Score(value=float(passed)), "total": Score(value=total), "plan": Score(value=None)}
    return RunResult(number=number, passed=passed, scores=scores, suspected_cause="x", confidence=1, **more)


def case(id: str, *runs: RunResult, **more: Any) -> CaseResult:
    values: dict[str, Any] = {
        "kind": "Instance",
        "issue_type": "service_down",
        "accepted_causes": ("process_crashed",),
        "ending": "repair",
        "mechanism": "killed",
        "split": "train",
        "difficulty": "easy",
    }
    return CaseResult(id=id, runs=runs, **(values | more))


def results(*cases: CaseResult) -> Results:
    return Results(reasoner="some", cases=cases, seconds=1.0)


@pytest.mark.parametrize(
    ("rate", "count", "low", "high"),
    [
        (0.0, 0, 0.0, 1.0),
        (1.0, 10, 0.7225, 1.0),
        (0.5, 10, 0.2366, 0.7634),
        (0.8, 100, 0.7112, 0.8666),
        (0.0, 3, 0.0, 0.5615),
    ],
)
def test_the_interval_is_wilsons(rate: float, count: int, low: float, high: float) -> None:
    assert wilson(rate, count) == pytest.approx((low, high), abs=1e-3)


def test_runs_of_one_case_make_nobody_surer() -> None:
    one = summarise(results(case("a", run(True)), case("b", run(False))))[0]
    many = summarise(results(case("a", *[run(True)] * 9), case("b", *[run(False)] * 9)))[0]
    assert (one.rate, one.low, one.high) == (many.rate, many.low, many.high)


def test_a_case_that_passes_in_two_of_three_runs_has_not_passed() -> None:
    [whole] = summarise(results(case("a", run(True), run(True), run(False))))
    assert (whole.passed, whole.rate) == (0, pytest.approx(2 / 3))


def test_groups_are_by_name_and_a_case_with_two_traits_counts_in_both() -> None:
    found = results(
        case("a", run(True, 1.0)),
        case("b", run(False, 0.4), traits=("red_herring", "poisoned"), split="test", kind="Database"),
    )
    assert [(each.name, each.cases) for each in summarise(found, "trait")] == [
        ("none", 1),
        ("poisoned", 1),
        ("red_herring", 1),
    ]
    assert [(each.name, each.total) for each in summarise(found, "split")] == [("test", 0.4), ("train", 1.0)]
    assert [each.name for each in summarise(found, "kind")] == ["Database", "Instance"]


def test_a_score_that_applies_nowhere_has_no_mean_and_what_broke_or_is_forbidden_is_counted() -> None:
    [whole] = summarise(
        results(case("a", run(False, 0, forbidden=("hard_reboot",))), case("b", run(False, 0, error="x")))
    )
    assert whole.means["plan"] is None and whole.means["cause"] == 0.0
    assert (whole.forbidden, whole.broken, whole.brier) == (1, 1, None)


def test_what_a_model_cost_is_summed_and_has_no_price_where_one_call_has_none() -> None:
    priced = run(True, model_calls=2, input_tokens=100, output_tokens=20, cost_usd=0.5)
    [whole] = summarise(results(case("a", priced), case("b", priced)))
    assert (whole.calls, whole.tokens, whole.cost_usd) == (4, 240, 1.0)
    [whole] = summarise(results(case("a", priced), case("b", run(True, model_calls=1))))
    assert whole.cost_usd is None
