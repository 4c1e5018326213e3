"""Which policy governs, and what it lets us do unasked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from graph.records import Approval, Attempt, IssueType, Plan, PlanStep, Policy, PolicyList
from graph.rules.policy import attempts_made, autonomy, gate

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def policy(issue_type: str = "service_down", auto_heal: bool = True, max_retries: int = 3, **more: Any) -> Policy:
    entry = {"resource_kind": "Instance", "issue_type": issue_type, "auto_heal": auto_heal, "max_retries": max_retries}
    return Policy.model_validate(entry | more)


def plan(risk: str = "disruptive", action: str = "restart_service") -> Plan:
    return Plan(steps=(PlanStep.model_validate({"action": action, "risk": risk}),), summary="")


def attempt(number: int, acted: bool) -> Attempt:
    return Attempt(
        number=number,
        suspected_cause="process_crashed",
        plan_fingerprint=str(number),
        actions=("restart_service",),
        acted=acted,
        why_ended="still down",
        ended_at=NOW,
    )


def approval(of: Plan, decision: str = "approve") -> Approval:
    return Approval.model_validate(
        {"decision": decision, "by": "ada", "at": NOW, "plan_fingerprint": of.plan_fingerprint}
    )


def test_the_missions_json_is_read_as_it_stands() -> None:
    entry = {"resource_kind": "Instance", "issue_type": "service_down", "auto_heal": True, "max_retries": 3}
    assert Policy.model_validate(entry).auto_heal


def test_no_policy_means_ask() -> None:
    found = autonomy((), "Instance", ("service_down",))
    assert not found.auto_heal and "no policy" in found.why


@pytest.mark.parametrize("issue_types", [("service_down", "disk_full"), ("disk_full", "service_down")])
def test_the_strictest_of_alerted_and_diagnosed_types_governs(issue_types: tuple[IssueType, ...]) -> None:
    policies = (policy(max_retries=5), policy("disk_full", auto_heal=False, max_retries=1))
    found = autonomy(policies, "Instance", issue_types)
    assert (found.auto_heal, found.max_retries) == (False, 1)


def test_a_type_without_a_policy_makes_all_ask() -> None:
    assert not autonomy((policy(),), "Instance", ("service_down", "high_cpu")).auto_heal


def test_a_policy_of_another_kind_does_not_count() -> None:
    assert not autonomy((policy(),), "Database", ("service_down",)).auto_heal


@pytest.mark.parametrize(
    ("risk", "action", "allowed", "expected"),
    [
        ("read_only", "wait", (), "run"),
        ("low", "clean_logs", (), "run"),
        ("disruptive", "restart_service", (), "run"),
        ("destructive", "hard_reboot", (), "ask"),
        ("destructive", "hard_reboot", ("rebuild_replica",), "ask"),
        ("destructive", "hard_reboot", ("hard_reboot",), "run"),
    ],
)
def test_auto_heal_covers_up_to_disruptive_and_what_is_named(
    risk: str, action: str, allowed: tuple[str, ...], expected: str
) -> None:
    found = autonomy((policy(allow_destructive=allowed),), "Instance", ("service_down",))
    assert gate(plan(risk, action), found, (), None).decision == expected


def test_an_approval_counts_for_its_very_plan_only() -> None:
    asks = autonomy((), "Instance", ("service_down",))
    assert gate(plan(), asks, (), approval(plan())).decision == "run"
    assert gate(plan(), asks, (), approval(plan(action="soft_reboot"))).decision == "ask"
    assert gate(plan(), asks, (), approval(plan(), "reject")).decision == "ask"


@pytest.mark.parametrize(("acted", "decision"), [((True, True), "run"), ((True, True, True), "refuse")])
def test_max_retries_is_attempts_in_all(acted: tuple[bool, ...], decision: str) -> None:
    found = autonomy((policy(max_retries=3),), "Instance", ("service_down",))
    attempts = [attempt(number, one) for number, one in enumerate(acted, 1)]
    assert gate(plan(), found, attempts, None).decision == decision


def test_attempts_of_which_nothing_started_do_not_count() -> None:
    assert attempts_made([attempt(1, True), attempt(2, False), attempt(3, True)]) == 2


def test_zero_retries_never_acts_even_when_approved() -> None:
    found = autonomy((policy(max_retries=0),), "Instance", ("service_down",))
    assert gate(plan(), found, (), approval(plan())).decision == "refuse"


def test_duplicates_are_refused_and_named() -> None:
    with pytest.raises(ValueError, match=r"policies\[1\] \(Instance, service_down\) duplicates policies\[0\]"):
        PolicyList(policies=(policy(), policy(max_retries=1)))


def test_every_issue_type_of_the_mission_is_known() -> None:
    mission = {"service_down", "disk_full", "high_cpu", "replication_lag", "connection_timeout"}
    assert mission < set(get_args(IssueType))


def test_the_fingerprint_covers_action_params_rendering_and_undo_but_not_words() -> None:
    base = PlanStep(action="a", params={"unit": "x"}, rendered="systemctl restart x")
    same = base.model_copy(update={"why": "because", "expect": "works"})

    def fingerprint(step: PlanStep) -> str:
        return Plan(steps=(step,), summary="").plan_fingerprint

    assert fingerprint(base) == fingerprint(same)
    for change in ({"action": "b"}, {"params": {"unit": "y"}}, {"rendered": "rm"}, {"undo": base}):
        assert fingerprint(base.model_copy(update=change)) != fingerprint(base)
