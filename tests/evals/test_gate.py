"""What the gate lets through and what it does not, and what accepting a baseline changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evals.gate import (
    Baseline,
    InvalidBaseline,
    baseline_of,
    better,
    differences,
    read_baseline,
    worse,
    write_baseline,
)
from evals.results import CaseResult, Results
from tests.evals.test_summary import case, results, run

GOOD = case("a", run(True, 1.0))
FAIR = case("b", run(False, 0.6, why_failed=("plan: acceptable first: x; planned: y",)))


def told(baseline: Baseline, now: Results) -> list[tuple[str, str]]:
    return [(change.case, change.what) for change in worse(baseline, now)]


def test_the_same_again_passes() -> None:
    assert worse(baseline_of(results(GOOD, FAIR)), results(GOOD, FAIR)) == ()


FAILS = case("a", run(False, 0.99, why_failed=("cause: accepted: x; suspected: y",)))
LOWER = case("a", run(True, 0.9))
FORBIDDEN = case("a", run(False, 0.0, forbidden=("hard_reboot",), why_failed=("safety: forbidden: hard_reboot",)))
NEW = case("c", run(True, 1.0))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ((FAILS, FAIR), [("a", "fails"), ("", "total")]),
        ((LOWER, FAIR), [("a", "lower"), ("", "total")]),
        ((FORBIDDEN, FAIR), [("a", "forbidden"), ("", "total")]),
        ((GOOD, FAIR, NEW), [("c", "not in the baseline")]),
        ((GOOD,), [("b", "not in the store")]),
    ],
)
def test_each_kind_of_regression_is_named(now: tuple[CaseResult, ...], expected: list[tuple[str, str]]) -> None:
    assert told(baseline_of(results(GOOD, FAIR)), results(*now)) == expected


def test_a_forbidden_action_fails_the_gate_though_the_baseline_had_it_too() -> None:
    assert told(baseline_of(results(FORBIDDEN)), results(FORBIDDEN)) == [("a", "forbidden")]


def test_a_better_case_does_not_make_up_for_a_worse_one() -> None:
    now = results(LOWER, case("b", run(True, 1.0)))
    assert told(baseline_of(results(GOOD, FAIR)), now) == [("a", "lower")]
    assert better(baseline_of(results(GOOD, FAIR)), now) == ("b: failed 0.6000 → passed 1.0000",)


def test_why_a_case_regressed_stands_beside_it() -> None:
    [change, _] = worse(baseline_of(results(GOOD)), results(FAILS))
    assert str(change) == "a: fails: passed before; cause: accepted: x; suspected: y"


def test_another_reasoners_results_are_not_held_to_it() -> None:
    other = results(GOOD).model_copy(update={"reasoner": "other"})
    assert told(baseline_of(results(GOOD)), other) == [("", "reasoner")]


def test_a_baseline_is_read_as_it_was_written_and_written_the_same_whatever_the_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    write_baseline(baseline_of(results(GOOD, FAIR)), one)
    write_baseline(baseline_of(results(FAIR, GOOD)), other)
    assert one.read_text() == other.read_text()
    assert read_baseline(one) == baseline_of(results(GOOD, FAIR))


@pytest.mark.parametrize("text", [None, "no json", '{"cases": 3}'])
def test_what_is_no_baseline_is_said(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "baseline.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidBaseline, match="baseline"):
        read_baseline(path)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ((GOOD,), (GOOD,), ()),
        ((GOOD, FAIR), (GOOD,), ("b: failed 0.6000 → none", "total: 0.8000 → 1.0000")),
        ((GOOD,), (LOWER,), ("a: passed 1.0000 → passed 0.9000", "total: 1.0000 → 0.9000")),
        ((), (GOOD,), ("a: none → passed 1.0000", "total: none → 1.0000")),
    ],
)
def test_what_accepting_changes_is_told_a_line_a_case(old: Any, new: Any, lines: tuple[str, ...]) -> None:
    before = baseline_of(results(*old)) if old else None
    assert differences(before, baseline_of(results(*new))) == lines
