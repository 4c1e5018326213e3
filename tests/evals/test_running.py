"""Many cases under one reasoner come to the same wherever they run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.case import InvalidCase
from evals.reasoners import Choice
from evals.results import CaseResult, Results
from evals.running import evaluate, processes
from tests.evals.made_cases import ATTEMPT, made, store

RUNBOOK = Choice("runbook")


def without_times(results: Results) -> list[dict[str, Any]]:
    dumped = [case.model_dump() for case in results.cases]
    for case in dumped:
        for run in case["runs"]:
            run.pop("seconds")
    return dumped


def test_the_runbook_answers_the_same_each_time_in_one_process_and_in_several(tmp_path: Path) -> None:
    cases = store(tmp_path, 6)
    here = evaluate(cases, RUNBOOK)
    with processes(len(cases), cores=2) as pool:
        assert pool is not None
        spread = evaluate(cases[::-1], RUNBOOK, pool=pool)
    assert without_times(here) == without_times(spread)
    assert [case.id for case in here.cases] == sorted(case.id for case in cases)
    assert all(case.passed for case in here.cases) and here.total > 0.98


def test_each_case_is_told_of_as_it_is_done_and_run_as_often_as_wanted(tmp_path: Path) -> None:
    told: list[CaseResult] = []
    found = evaluate(store(tmp_path), RUNBOOK, runs=3, told=told.append)
    assert [case.id for case in told] == ["case-000", "case-001", "case-002"]
    assert [[run.number for run in case.runs] for case in found.cases] == [[1, 2, 3]] * 3


def test_few_cases_are_not_worth_a_process() -> None:
    with processes(3, cores=8) as pool:
        assert pool is None
    with processes(100, cores=1) as pool:
        assert pool is None


def test_a_kind_that_nobody_declares_is_an_error_of_the_case(tmp_path: Path) -> None:
    [case, *_] = store(tmp_path)
    odd = replace(case, file=case.file.model_copy(update={"kind": "Toaster"}))
    with pytest.raises(InvalidCase, match="Toaster"):
        evaluate([odd], RUNBOOK)


def test_what_was_tried_before_is_not_tried_again_and_seen_if_it_were(tmp_path: Path) -> None:
    case = made(
        tmp_path,
        "case-again",
        {"host": {"host.reachable": True}, "units": {'unit.state{unit="shop.service"}': "stopped"}},
        {
            "ending": "escalate",
            "accepted_causes": ("service_stopped",),
            "forbidden_actions": ("hard_reboot",),
            "mechanism": "stopped",
        },
        attempts=(
            ATTEMPT.model_copy(update={"suspected_cause": "service_stopped", "actions": ("start_service",)}),
            ATTEMPT.model_copy(
                update={"number": 2, "suspected_cause": "service_stopped", "actions": ("restart_service",)}
            ),
        ),
    )
    [found] = evaluate([case], RUNBOOK).cases
    assert found.runs[0].scores["trajectory"].value == 1.0
    [blind] = evaluate([case], Choice("always-restart")).cases
    assert blind.runs[0].actions == ("restart_service",)


def test_a_case_that_breaks_the_product_is_told_of_and_the_others_go_on(tmp_path: Path) -> None:
    good, other, _ = store(tmp_path)
    nowhere = replace(other, context=other.context.model_copy(update={"resource": None}))
    first, second = evaluate([good, nowhere], Choice("always-the-first-cause")).cases
    assert first.runs[0].error == "" and first.runs[0].suspected_cause == "host_stopped"
    assert "AssertionError" in second.runs[0].error and second.total == 0
    assert second.runs[0].why_failed[0].startswith("error: AssertionError")


def test_what_was_not_recorded_is_counted_and_told_as_a_source_that_failed(tmp_path: Path) -> None:
    [case, *_] = store(tmp_path)
    lacking = replace(case, calls=tuple(call for call in case.calls if call.tool != "journal"))
    [found] = evaluate([lacking], RUNBOOK).cases
    # twice: a crash is not taken for one before the log was asked again
    assert found.runs[0].not_recorded == ("not recorded: journal {}",) * 2
    [journal] = [item for item in found.runs[0].evidence if item.source == "journal"]
    assert journal.status == "failed"
