"""The reasoner without a model: facts in, cause out; attempts and objections in, the next remedy out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from agents.reasoning.runbook import RULED_OUT_CHARS, RULED_OUT_ENTRIES, SUMMARY_CHARS, RunbookReasoner
from graph.facts import Facts, FactValue
from graph.kind import Match
from graph.records import Attempt, Evidence, Resource
from tests.agents.reasoning_examples import (
    CRASHED,
    KILLED,
    attempt,
    diagnosis_request,
    incident,
    kind_of,
    plan_request,
    remedy,
    resource,
    seen,
    unseen,
)

RUNBOOK = RunbookReasoner()


@pytest.mark.parametrize(
    ("facts", "cause", "issue_type", "confidence"),
    [
        ({"s.crashed": True}, "crashed", "service_down", 0.9),
        ({"s.killed": True}, "killed", "high_cpu", 0.95),
        ({"s.faint": True, "s.crashed": True}, "crashed", "service_down", 0.9),
        ({"s.misconfigured": True, "s.crashed": True}, "misconfigured", "service_down", 0.97),
        ({"s.healthy": True}, "no_fault", "service_down", 0.9),
        ({"s.healthy": True, "s.misconfigured": True}, "misconfigured", "service_down", 0.97),
        ({"s.faint": True}, "unknown", "unknown", 0.0),
        ({"load": 3.0}, "unknown", "unknown", 0.0),
        ({}, "unknown", "unknown", 0.0),
    ],
)
async def test_the_best_explained_cause_is_suspected(
    facts: dict[str, FactValue], cause: str, issue_type: str, confidence: float
) -> None:
    diagnosis = await RUNBOOK.diagnose(diagnosis_request([seen("E1", facts)]))
    assert (diagnosis.suspected_cause, diagnosis.issue_type) == (cause, issue_type)
    assert diagnosis.confidence == confidence
    assert diagnosis.author == "runbook"


async def test_a_diagnosis_cites_its_evidence_once_and_names_its_target() -> None:
    def both(facts: Facts, resource: Resource) -> Match:
        return Match(0.9, [*facts.all("b"), *facts.all("a"), *facts.all("b")], "both", "web")

    kind = kind_of(replace(CRASHED, signature=both))
    diagnosis = await RUNBOOK.diagnose(diagnosis_request([seen("E1", {"a": 1}), seen("E2", {"b": 2})], kind))
    assert diagnosis.evidence_ids == ("E2", "E1")
    assert diagnosis.target == "web"


async def test_two_causes_that_explain_the_facts_equally_well_lower_the_confidence_and_are_told() -> None:
    diagnosis = await RUNBOOK.diagnose(diagnosis_request([seen("E1", {"s.crashed": True, "s.killed": True})]))
    assert diagnosis.suspected_cause == "crashed"
    assert diagnosis.confidence < 0.5
    assert "killed (0.95)" in diagnosis.summary


async def test_of_two_troubles_the_one_the_alerts_speak_of_is_mended_first() -> None:
    both = [seen("E1", {"s.crashed": True, "s.killed": True})]
    alerted_as_cpu = diagnosis_request(both)
    cpu = replace(alerted_as_cpu, incident=alerted_as_cpu.incident.model_copy(update={"issue_types": ("high_cpu",)}))
    assert (await RUNBOOK.diagnose(diagnosis_request(both))).issue_type == "service_down"
    assert (await RUNBOOK.diagnose(cpu)).issue_type == "high_cpu"


async def test_a_tie_goes_to_no_fault_as_doing_nothing_harms_least() -> None:
    diagnosis = await RUNBOOK.diagnose(diagnosis_request([seen("E1", {"s.crashed": True, "s.healthy": True})]))
    assert diagnosis.suspected_cause == "no_fault"
    assert "crashed" in diagnosis.summary


async def test_other_causes_are_ruled_out_briefly_the_nearest_first() -> None:
    facts: dict[str, FactValue] = {"s.killed": True, "s.faint": True}
    diagnosis = await RUNBOOK.diagnose(diagnosis_request([seen("E1", facts)]))
    assert list(diagnosis.ruled_out) == ["faint", "crashed", "misconfigured"]
    assert diagnosis.ruled_out["faint"] == "0.40 against 0.95: s.faint was seen"
    assert diagnosis.ruled_out["crashed"] == "no fact speaks for it"


async def test_what_is_ruled_out_stays_small_however_many_causes_and_words_there_are() -> None:
    def wordy(facts: Facts, resource: Resource) -> Match:
        return Match(0.6, [], "word " * 500)

    kind = kind_of(CRASHED, *(replace(KILLED, name=f"cause{n}", signature=wordy) for n in range(20)))
    diagnosis = await RUNBOOK.diagnose(diagnosis_request(kind=kind))
    assert len(diagnosis.ruled_out) == RULED_OUT_ENTRIES
    assert all(len(reason) <= RULED_OUT_CHARS for reason in diagnosis.ruled_out.values())
    assert len(diagnosis.summary) <= SUMMARY_CHARS


async def test_unknown_names_the_sources_that_failed_and_those_that_were_seen() -> None:
    evidence: list[Evidence] = [
        seen("E1", {"load": 0.1}),
        unseen("E2", "journal", "timed out after 5 s"),
        unseen("E3", "metrics", "", status="no_data"),
    ]
    diagnosis = await RUNBOOK.diagnose(diagnosis_request(evidence))
    assert diagnosis.suspected_cause == "unknown"
    assert "none of the 4 declared causes of Box" in diagnosis.summary
    assert "did not answer: journal (timed out after 5 s)" in diagnosis.summary
    assert "had nothing: metrics" in diagnosis.summary
    assert "seen: units" in diagnosis.summary


async def test_unknown_tells_the_closest_cause() -> None:
    diagnosis = await RUNBOOK.diagnose(diagnosis_request([seen("E1", {"s.faint": True})]))
    assert "closest: faint, 0.40" in diagnosis.summary
    assert diagnosis.evidence_ids == ("E1",)


async def test_an_incident_of_no_declared_resource_is_unknown() -> None:
    diagnosis = await RUNBOOK.diagnose(diagnosis_request(about=incident(placed=False)))
    assert diagnosis.suspected_cause == "unknown"
    assert "Box/box-1 is not a declared resource" in diagnosis.summary


async def test_a_signature_that_raises_is_told_and_does_not_hide_the_other_causes() -> None:
    def broken(facts: Facts, resource: Resource) -> Match | None:
        raise KeyError("unit")

    kind = kind_of(replace(KILLED, signature=broken), CRASHED)
    diagnosis = await RUNBOOK.diagnose(diagnosis_request(kind=kind))
    assert diagnosis.suspected_cause == "crashed"
    assert diagnosis.ruled_out["killed"] == "its signature failed: KeyError: 'unit'"


@pytest.mark.parametrize(
    ("attempts", "objections", "provider", "action"),
    [
        ([], [], "ec2", "restart_service"),
        ([], ["no such unit"], "ec2", "soft_reboot"),
        ([], ["no such unit", "not now"], "ec2", "clear_cache"),
        ([], ["no", "no", "no"], "ec2", None),
        ([attempt(1, "crashed", "restart_service")], [], "ec2", "soft_reboot"),
        ([attempt(1, "crashed", "restart_service")], ["no"], "ec2", "clear_cache"),
        ([attempt(1, "crashed", "restart_service")], [], "none", "clear_cache"),
        ([attempt(1, "killed", "restart_service")], [], "ec2", "restart_service"),
        ([attempt(1, "crashed", "soft_reboot")], [], "ec2", "restart_service"),
        ([attempt(1, "crashed", "restart_service"), attempt(2, "crashed", "clear_cache")], [], "none", None),
    ],
)
async def test_the_next_remedy_is_the_first_that_applies_was_not_tried_and_not_turned_down(
    attempts: Sequence[Attempt], objections: Sequence[str], provider: str, action: str | None
) -> None:
    plan = await RUNBOOK.plan(plan_request("crashed", attempts, objections, incident(resource(provider))))
    assert (plan.steps[0].action if plan.steps else None) == action
    assert plan.author == "runbook"


async def test_a_plan_is_about_the_diagnosis_target() -> None:
    plan = await RUNBOOK.plan(plan_request(target="db"))
    assert plan.steps[0].params == {"unit": "db"}
    assert plan.summary == "crashed: do restart_service"


async def test_two_remedies_of_the_same_action_are_two_attempts() -> None:
    cause = replace(CRASHED, remedies=(remedy("clear_cache"), remedy("clear_cache", which="all")))
    request = plan_request(attempts=[attempt(1, "crashed", "clear_cache")], kind=kind_of(cause))
    plan = await RUNBOOK.plan(request)
    assert plan.steps[0].params == {"which": "all"}


async def test_when_every_remedy_was_tried_the_summary_says_what_and_how_it_ended() -> None:
    attempts = [
        attempt(1, "crashed", "restart_service", why="failed again after 4 s"),
        attempt(2, "crashed", "clear_cache", why="still down"),
    ]
    plan = await RUNBOOK.plan(plan_request(attempts=attempts, about=incident(resource("none"))))
    assert plan.steps == ()
    assert "every declared remedy of crashed was tried" in plan.summary
    assert "restart_service (failed again after 4 s)" in plan.summary
    assert "soft_reboot (needs a provider, Box/box-1 has none)" in plan.summary


async def test_a_cause_without_remedies_says_what_a_human_must_do_and_why() -> None:
    plan = await RUNBOOK.plan(plan_request("misconfigured"))
    assert plan.steps == ()
    assert plan.summary == "correct the configuration; misconfigured it is"


@pytest.mark.parametrize("cause", ["unknown", "no_fault", "never_declared"])
async def test_without_a_declared_cause_nothing_is_planned(cause: str) -> None:
    plan = await RUNBOOK.plan(plan_request(cause))
    assert plan.steps == ()
    assert f"{cause} it is" in plan.summary


async def test_a_remedy_whose_steps_can_not_be_made_gives_way_to_the_next() -> None:
    def broken(resource: Resource, target: str | None) -> tuple[()]:
        raise TypeError("no target")

    cause = replace(CRASHED, remedies=(replace(remedy("restart_service"), steps=broken), remedy("clear_cache")))
    plan = await RUNBOOK.plan(plan_request(kind=kind_of(cause), target=None))
    assert plan.steps[0].action == "clear_cache"
