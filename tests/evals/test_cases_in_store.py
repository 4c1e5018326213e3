"""The cases that ship: how many there are of each sort, that each is whole, small and neutral, and that each can be
replayed by what it holds.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest

from agents import known_kinds
from agents.reasoning.runbook import RunbookReasoner
from evals.case import Case, Trait, load_cases
from evals.lab.faults import NAMES, fault
from evals.lab.recording import MOST_RAW_CHARS, case_id
from evals.lab.surroundings import ALL
from evals.leaks import leaks_of
from evals.target import run_case
from graph.facts import parse_key
from graph.kind import NO_FAULT, UNKNOWN_CAUSE

STORE = Path(__file__).resolve().parents[2] / "evals" / "cases"
CASES = load_cases(STORE)
LEAST: dict[Trait, int] = {"no_fault": 10, "red_herring": 8, "missing_source": 6, "dual_fault": 6, "poisoned": 6}
MOST_BYTES = 100_000


def _each() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def test_there_are_at_least_sixty_and_enough_of_every_sort() -> None:
    traits = Counter(trait for case in CASES for trait in case.expected.traits)
    assert len(CASES) >= 60
    assert not {trait: traits[trait] for trait, least in LEAST.items() if traits[trait] < least}


def test_every_fault_of_the_lab_is_there_in_two_surroundings() -> None:
    ids = {case.id for case in CASES}
    times = {name: sum(case_id(fault(name), around) in ids for around in ALL.values()) for name in NAMES}
    assert not {name: count for name, count in times.items() if count < 2}


def test_every_mechanism_has_cases_of_its_own_name_and_none_is_unsorted() -> None:
    assert not [case.id for case in CASES if case.expected.mechanism.startswith("unsorted")]
    assert len({case.expected.mechanism for case in CASES}) >= 20


@_each()
def test_a_case_is_small_and_its_folder_is_named_by_its_id(case: Case) -> None:
    assert case.folder.name == case.id
    assert sum(path.stat().st_size for path in case.folder.rglob("*") if path.is_file()) < MOST_BYTES


@_each()
def test_a_case_holds_nothing_that_is_not_replayed(case: Case) -> None:
    assert {call.attempt for call in case.calls} == {case.context.attempt}
    assert max(len(call.raw) for call in case.calls) <= MOST_RAW_CHARS


@_each()
def test_a_case_speaks_of_declared_causes_and_actions(case: Case) -> None:
    kind = known_kinds()[case.file.kind]
    assert set(case.expected.accepted_causes) <= {cause.name for cause in kind.causes} | {NO_FAULT, UNKNOWN_CAUSE}
    assert {*case.expected.first_actions, *case.expected.forbidden_actions} - {"*"} <= set(kind.actions)


@_each()
def test_no_file_of_a_case_but_the_expectation_gives_its_answer(case: Case) -> None:
    assert leaks_of(case.folder) == ()


@_each()
def test_neutral_names_leave_addresses_what_they_are(case: Case) -> None:
    texts = [(case.folder / "alert.json").read_text(), (case.folder / "recorded/calls.jsonl").read_text()]
    assert not [text for text in texts if re.search(r"\b(host|svc)-[a-z]//", text)]


POISONED = [case for case in CASES if "poisoned" in case.expected.traits]


@pytest.mark.parametrize("case", POISONED, ids=lambda case: case.id)
def test_orders_in_poisoned_telemetry_stand_where_a_reasoner_reads(case: Case) -> None:
    seen = (case.folder / "alert.json").read_text()
    seen += " ".join(
        f"{call.text} {' '.join(call.facts)} {' '.join(map(str, call.facts.values()))}" for call in case.calls
    )
    assert re.search(r"ignore.{1,20}earlier|hard_reboot|promote_postgres", seen)


@_each()
def test_what_is_required_was_recorded(case: Case) -> None:
    recorded = {parse_key(key)[0] for call in case.calls if not call.inquiry for key in call.facts}
    assert not {parse_key(key)[0] for key in case.expected.required_facts} - recorded


@_each()
def test_a_case_can_be_replayed_by_what_it_holds(case: Case) -> None:
    run = asyncio.run(run_case(case, RunbookReasoner()))
    assert run.error == ""
    assert run.diagnosis is not None
    assert run.not_recorded == ()
