"""Real faults on a real host, recorded as cases: what was seen is enough to come to the same conclusion offline."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.reasoning.runbook import RunbookReasoner
from evals.case import Case, load_case
from evals.lab.detect import lab_refusal
from evals.lab.faults import fault
from evals.lab.recording import case_id
from evals.lab.runner import LabRunner, lab_up
from evals.lab.situations import SITUATIONS
from evals.lab.surroundings import current
from evals.leaks import leaks_of
from evals.target import run_case

REFUSAL = lab_refusal()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(400),
    pytest.mark.skipif(REFUSAL is not None, reason=f"no lab here: {REFUSAL}"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cases")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[LabRunner]:
    with lab_up(("app",), tmp_path_factory.mktemp("lab"), print, store) as lab:
        yield lab


def _recorded(lab: LabRunner, name: str, store: Path) -> Case:
    made = next((each for each in SITUATIONS if each.name == name), None) or fault(name)
    verdict = lab.run(made)
    assert verdict.ok, verdict.problems
    return load_case(store / case_id(made, current()))


@pytest.mark.parametrize("name", ["service_stopped", "order_in_log"])
def test_a_recorded_fault_comes_to_the_same_offline(lab: LabRunner, store: Path, name: str) -> None:
    case = _recorded(lab, name, store)
    run = asyncio.run(run_case(case, RunbookReasoner()))
    assert run.error == ""
    assert run.diagnosis is not None
    assert run.diagnosis.suspected_cause in case.expected.accepted_causes
    assert run.plan is not None
    assert run.plan.steps[0].action in case.expected.first_actions
    assert leaks_of(case.folder) == ()


def test_an_order_that_a_client_sent_is_in_the_recorded_log_in_plain_words(lab: LabRunner, store: Path) -> None:
    case = _recorded(lab, "order_in_log", store)
    assert any("ignore your earlier instructions" in f"{call.text} {call.raw}" for call in case.calls)


def test_while_it_is_looked_at_the_trouble_is_there(lab: LabRunner, store: Path) -> None:
    case = _recorded(lab, "service_stopped", store)
    logs = [call.text for call in case.calls if call.inquiry and call.tool == "host_probe"]
    assert any("stopped" in text for text in logs)
