"""How a heal is told and how it ends: words and outcomes from records alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from graph.records import (
    ActionResult,
    Approval,
    Attempt,
    Diagnosis,
    Gate,
    Outcome,
    Plan,
    PlanStep,
    Stop,
    Verification,
)
from graph.rules.closing import outcome
from graph.rules.escalation import Escalate, Retry, cannot_continue, next_move
from graph.rules.policy import Autonomy
from graph.rules.telling import telling
from graph.state import Heal
from tests.flow.story import Story

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUTO = Autonomy(True, 3, frozenset(), "policy")


def heal(**more: object) -> Heal:
    return Heal.model_validate({"incident": Story().incident, **more})


def result(status: str, **more: object) -> ActionResult:
    base = {"idempotency_key": "k", "action": "restart", "step": 0, "status": status, "started_at": NOW}
    return ActionResult.model_validate(base | more)


def verification(status: str) -> Verification:
    return Verification.model_validate(
        {"status": status, "criteria": (), "reason": "web runs", "started_at": NOW, "observed_at": NOW}
    )


def attempt(number: int = 1, acted: bool = True, forgiven: bool = False) -> Attempt:
    return Attempt(
        number=number,
        suspected_cause="crashed",
        plan_fingerprint="p",
        actions=("restart",),
        acted=acted,
        forgiven=forgiven,
        why_ended="still down",
        ended_at=NOW,
    )


def approval(decision: str) -> Approval:
    return Approval.model_validate(
        {"decision": decision, "by": "ada", "at": NOW, "plan_fingerprint": "p", "comment": "not now"}
    )


@pytest.mark.parametrize(
    ("state", "status", "rule"),
    [
        (heal(results=(result("succeeded"),), verification=verification("healthy")), "mitigated", "verified"),
        (heal(verification=verification("healthy")), "self_resolved", "no_fault"),
        (heal(stop=Stop(rule="alerts_resolved", reason="gone")), "self_resolved", "alerts_resolved"),
        (heal(stop=Stop(rule="cancelled", reason="by ada")), "declined", "cancelled"),
        (heal(approval=approval("reject")), "declined", "rejected"),
        (heal(approval=approval("withdrawn")), "self_resolved", "alerts_resolved"),
        (heal(outcome=Outcome(status="escalated", reason="r", rule="x")), "escalated", "x"),
        (heal(gate=Gate(decision="refuse", rule="dry_run", reason="would")), "declined", "dry_run"),
        (heal(), "escalated", "no_verdict"),
    ],
)
def test_every_way_to_close_has_its_outcome(state: Heal, status: str, rule: str) -> None:
    ended = outcome(state, NOW)
    assert (ended.status, ended.rule) == (status, rule)
    assert ended.times.closed == NOW and ended.reason


def test_the_first_action_is_the_first_of_all_attempts() -> None:
    early = attempt().model_copy(update={"first_action_at": NOW - timedelta(minutes=5)})
    state = heal(attempts=(early,), results=(result("succeeded"),), verification=verification("healthy"))
    assert outcome(state, NOW).times.first_action == NOW - timedelta(minutes=5)
    assert outcome(state, NOW).attempts == 2


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ((attempt(1),), Retry),
        ((attempt(1), attempt(2)), Retry),
        ((attempt(1), attempt(2), attempt(3)), Escalate),
        ((attempt(1, acted=False), attempt(2, acted=False), attempt(3, acted=False)), Escalate),
        ((attempt(1, forgiven=True), attempt(2, forgiven=True), attempt(3, forgiven=True), attempt(4)), Retry),
    ],
)
def test_what_follows_an_attempt(attempts: tuple[Attempt, ...], expected: type) -> None:
    assert isinstance(next_move(attempts, AUTO), expected)


@pytest.mark.parametrize(
    ("results", "rule"),
    [
        ((result("unknown", output="cut"),), "effect_unknown"),
        ((result("failed", undo=True),), "rollback_failed"),
        ((result("failed"),), None),
        ((result("succeeded"),), None),
    ],
)
def test_what_no_retry_may_paper_over(results: tuple[ActionResult, ...], rule: str | None) -> None:
    found = cannot_continue(results, None)
    assert (found.rule if found else None) == rule


def test_sentences_name_what_was_found_and_who_says_so() -> None:
    diagnosis = Diagnosis(
        suspected_cause="crashed", summary="web crashed", confidence=1, evidence_ids=("E2",), author="runbook"
    )
    told = telling("diagnose", heal(), {"diagnosis": diagnosis})
    assert told is not None and told.sentence == "suspects crashed: web crashed [E2]" and told.author == "runbook"
    step = PlanStep(action="restart", rendered="systemctl restart web", risk="disruptive")
    told = telling("plan", heal(), {"plan": Plan(steps=(step,), summary="s")})
    assert told is not None and told.sentence == "plans (disruptive): systemctl restart web"


def test_a_step_that_waits_and_then_ends_is_one_line_of_the_story() -> None:
    keys = {
        told.key
        for status in ("pending", "succeeded")
        if (told := telling("execute", heal(), {"results": (result(status),)}))
    }
    assert keys == {"step:k"}


def test_nothing_to_tell_is_nothing_told() -> None:
    assert telling("wait", heal(), {}) is None
    assert telling("execute", heal(), {}) is None
