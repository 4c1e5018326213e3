"""What is right of the lab's faults: said of each, and in words that agents, catalogue and sources know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents import known_kinds
from evals.case import CameOf
from evals.lab.expectations import FAULTS, both
from evals.lab.faults import NAMES, fault
from evals.lab.recording import case_id, expectation_of
from evals.lab.situations import SITUATIONS
from evals.lab.stage import Fault, LabError
from evals.lab.surroundings import BUSY, PLAIN
from graph.kind import NO_FAULT, UNKNOWN_CAUSE

ROOT = Path(__file__).resolve().parents[2]
EVERY = (*map(fault, NAMES), *SITUATIONS)
TOLD = "\n".join(path.read_text() for part in ("tools", "agents/causes") for path in (ROOT / part).rglob("*.py"))


def test_of_every_fault_and_of_no_other_it_is_said_what_is_right() -> None:
    assert set(FAULTS) == set(NAMES)


@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.name)
def test_an_expectation_is_a_valid_one_of_declared_causes_and_actions(each: Fault) -> None:
    kind, expected = known_kinds()[each.kind], expectation_of(each).expected(CameOf())
    causes = {cause.name for cause in kind.causes} | {NO_FAULT, UNKNOWN_CAUSE}
    assert set(expected.accepted_causes) <= causes
    assert {*expected.first_actions, *expected.forbidden_actions} - {"*"} <= set(kind.actions)
    assert not set(expected.first_actions) & set(expected.forbidden_actions)


def test_a_required_fact_is_one_that_sources_tell_or_causes_rest_on() -> None:
    required = {name for each in EVERY for name in expectation_of(each).facts}
    assert not {name for name in required if f'"{name}"' not in TOLD}


@pytest.mark.parametrize(
    "each", [each for each in EVERY if each.expected_cause != NO_FAULT], ids=lambda each: each.name
)
def test_what_the_lab_holds_for_the_cause_is_an_accepted_one(each: Fault) -> None:
    assert each.expected_cause in expectation_of(each).causes


def test_nothing_may_be_done_where_a_human_must_or_where_nothing_is_wrong() -> None:
    for name, expectation in FAULTS.items():
        if expectation.ending != "repair":
            assert expectation.forbidden == ("*",), name


def test_of_two_faults_only_what_harms_both_is_forbidden() -> None:
    killed, spin = FAULTS["service_killed"], FAULTS["cpu_unit_runs_away"]
    made = both(killed, spin)
    assert {"restart_service", "stop_unit"} <= set(made.first)
    assert not {"restart_service", "stop_unit"} & set(made.forbidden)
    assert "hard_reboot" in made.forbidden


def test_a_situation_has_a_name_of_its_own() -> None:
    names = [each.name for each in EVERY]
    assert len(names) == len(set(names))


def test_a_cases_id_is_neutral_and_differs_by_fault_and_surroundings() -> None:
    ids = {case_id(each, around) for each in EVERY for around in (PLAIN, BUSY)}
    assert len(ids) == 2 * len(EVERY)
    assert all(len(one) == 8 and one.startswith("i-") for one in ids)


def test_the_lab_says_what_to_add_where_nothing_is_expected() -> None:
    with pytest.raises(LabError, match=r"expectations\.py"):
        expectation_of(replace(fault("service_killed"), name="new_one"))
