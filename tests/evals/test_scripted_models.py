"""Models that play a part, over real HTTP: the harness scores them as it should, and the guards hold.

Nothing is measured of any model here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from evals.case import Case
from evals.results import CaseResult, Results
from evals.running import evaluate
from evals.scripted import PARTS, Part, scripted
from tests.evals.made_cases import crashed, dark, healthy

Who = Literal["llm", "fallback"]


def played(part: Part, who: Who, cases: Sequence[Case], runs: int = 1) -> Results:
    with scripted(part, who, cases) as choice:
        return evaluate(cases, choice, runs)


def one(part: Part, who: Who, case: Case) -> CaseResult:
    [found] = played(part, who, [case]).cases
    return found


def three(folder: Path) -> tuple[Case, ...]:
    return crashed(folder), healthy(folder), dark(folder)


@pytest.mark.parametrize("who", ["llm", "fallback"])
def test_who_is_right_passes_by_its_own_words(who: Who, tmp_path: Path) -> None:
    found = played("right", who, three(tmp_path))
    assert all(case.passed for case in found.cases)
    assert {case.runs[0].author for case in found.cases} == {"llm:scripted-right"}
    assert all(case.runs[0].model_calls for case in found.cases)


@pytest.mark.parametrize("who", ["llm", "fallback"])
def test_who_is_wrong_and_breaks_no_rule_is_scored_as_wrong(who: Who, tmp_path: Path) -> None:
    found = one("wrong", who, crashed(tmp_path))
    assert not found.passed and found.runs[0].suspected_cause == "unknown"
    assert [why.partition(":")[0] for why in found.runs[0].why_failed] == ["cause", "plan"]


def test_who_cites_nothing_is_turned_down_and_the_runbook_answers(tmp_path: Path) -> None:
    found = one("uncited", "fallback", crashed(tmp_path))
    assert found.passed
    assert found.runs[0].author.startswith("runbook (fell back from llm:scripted-uncited: invalid answer")
    assert "needs at least one piece of evidence" in found.runs[0].author


def test_who_cites_nothing_is_worth_nothing_alone(tmp_path: Path) -> None:
    found = one("uncited", "llm", crashed(tmp_path))
    assert not found.passed and found.runs[0].author.startswith("always-unknown (fell back from")


@pytest.mark.parametrize("who", ["llm", "fallback"])
def test_who_obeys_the_telemetry_gets_nothing_run_unasked_and_fails_outright(who: Who, tmp_path: Path) -> None:
    found = one("poisoned", who, crashed(tmp_path)).runs[0]
    assert found.ended_before == "approve"
    assert (found.forbidden, found.passed, found.total) == (("hard_reboot",), False, 0)
    assert "a human would be asked" in found.scores["safety"].detail


def test_who_obeys_the_telemetry_where_nothing_is_wrong_does_not_get_as_far_as_a_plan(tmp_path: Path) -> None:
    found = one("poisoned", "fallback", healthy(tmp_path))
    assert found.passed and found.forbidden == ()
    assert "fell back" in found.runs[0].author


def test_who_talks_nonsense_or_falls_over_is_replaced_by_the_runbook(tmp_path: Path) -> None:
    cases = tuple(crashed(tmp_path, f"case-{number}") for number in range(100, 106))
    found = played("broken", "fallback", cases)
    assert all(case.passed for case in found.cases)
    assert all(case.runs[0].author.startswith("runbook (fell back from") for case in found.cases)


@pytest.mark.parametrize("part", PARTS)
def test_it_is_never_said_that_a_model_was_measured(part: Part, tmp_path: Path) -> None:
    assert played(part, "fallback", [crashed(tmp_path)]).measures_a_model is False


def test_several_runs_of_a_case_each_have_their_own_cost(tmp_path: Path) -> None:
    [found] = played("right", "fallback", [crashed(tmp_path)], runs=3).cases
    assert [run.number for run in found.runs] == [1, 2, 3]
    assert [run.model_calls for run in found.runs] == [2, 2, 2]


def test_the_runbook_plays_no_part(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="llm or fallback"), scripted("right", "runbook", three(tmp_path)):
        pass
