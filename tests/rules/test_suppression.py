"""What nobody is to hear of is not repaired, unless policy says so; and which alerts are silenced while we repair."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from graph.records import Alert, Incident, Plan, PlanStep, Policy, Risk
from graph.rules.policy import autonomy
from graph.rules.suppression import hold
from server.silencing_rules import (
    Present,
    UnderWay,
    changes,
    comment_of,
    incident_of,
    orphans,
    repairing,
    wanted,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LASTS = timedelta(minutes=10)


def policy(issue_type: str = "service_down", **more: object) -> Policy:
    given = {"resource_kind": "Instance", "issue_type": issue_type, "auto_heal": True, "max_retries": 3}
    return Policy.model_validate(given | more)


def incident(*firing: str, resolved: tuple[str, ...] = (), number: int = 1) -> Incident:
    names = [(name, "firing") for name in firing] + [(name, "resolved") for name in resolved]
    alerts = [
        Alert.model_validate({"status": status, "labels": {"alertname": name}, "fingerprint": name})
        for name, status in names
    ]
    return Incident(
        id=f"id-{number}",
        number=number,
        resource_kind="Instance",
        resource_id=f"inst-{number}",
        issue_types=("service_down",),
        alerts=tuple(alerts),
        received_at=NOW,
    )


def plan(risk: Risk = "disruptive") -> Plan:
    return Plan(steps=(PlanStep(action="restart_service", risk=risk),), summary="")


BY_ALICE = "silenced by alice"


@pytest.mark.parametrize(
    ("given", "suppressed", "heal_silenced", "risk", "held"),
    [
        (incident("a"), {}, False, "disruptive", False),
        (incident("a"), {"a": BY_ALICE}, False, "disruptive", True),
        (incident("a", "b"), {"a": BY_ALICE}, False, "disruptive", False),
        (incident("a", "b"), {"a": BY_ALICE, "b": "b is inhibited by c"}, False, "disruptive", True),
        (incident("a", resolved=("b",)), {"a": BY_ALICE}, False, "disruptive", True),
        (incident(resolved=("b",)), {"b": BY_ALICE}, False, "disruptive", False),
        (incident("a"), {"a": BY_ALICE}, True, "disruptive", False),
        (incident("a"), {"a": BY_ALICE}, False, "read_only", False),
    ],
)
def test_only_what_rings_for_nobody_at_all_is_held(
    given: Incident, suppressed: Mapping[str, str], heal_silenced: bool, risk: Risk, held: bool
) -> None:
    governing = autonomy([policy(heal_silenced=heal_silenced)], "Instance", ["service_down"])
    found = hold(given, suppressed, plan(risk), governing, NOW)
    assert (found is not None) == held
    if found is not None:
        assert (found.rule, found.until) == ("silenced", NOW + timedelta(seconds=30))
        assert BY_ALICE in found.reason and "(Instance, service_down) does not heal silenced alerts" in found.reason


def test_the_strictest_policy_says_whether_silenced_alerts_are_healed() -> None:
    both = [policy(heal_silenced=True), policy("high_cpu")]
    assert autonomy(both, "Instance", ["service_down"]).heal_silenced
    assert not autonomy(both, "Instance", ["service_down", "high_cpu"]).heal_silenced
    assert not autonomy([], "Instance", ["service_down"]).heal_silenced


@pytest.mark.parametrize(
    ("gate", "stopping", "governing", "at_work"),
    [
        (None, False, policy(), True),
        (None, False, policy(auto_heal=False), False),
        (None, False, policy(dry_run=True), False),
        (None, False, policy(max_retries=0), False),
        ("run", False, policy(auto_heal=False), True),
        ("ask", False, policy(), False),
        ("hold", False, policy(), False),
        ("refuse", False, policy(), False),
        ("run", True, policy(), False),
    ],
)
def test_alerts_are_silenced_only_while_we_are_at_work_by_ourselves(
    gate: str | None, stopping: bool, governing: Policy, at_work: bool
) -> None:
    heal = UnderWay(incident("a"), gate, stopping)
    assert repairing(heal, [governing]) == at_work
    assert len(wanted([heal], [governing], dry_run=False)) == int(at_work)
    assert wanted([heal], [governing], dry_run=True) == ()


def test_what_has_resolved_needs_no_silence() -> None:
    heal = UnderWay(incident("a", resolved=("b",)), "run")
    assert [item.alert.name for item in wanted([heal], [policy()], dry_run=False)] == ["a"]


def present(fingerprint: str, minutes: float, lifted: bool = False) -> Present:
    return Present("id-1", fingerprint, f"s-{fingerprint}", NOW + timedelta(minutes=minutes), lifted)


def test_the_difference_is_put_extended_and_removed() -> None:
    need = wanted([UnderWay(incident("new", "young", "old", "over", "lifted"), "run")], [policy()], dry_run=False)
    there = [
        *(present("young", 9), present("old", 4), present("over", -1)),
        *(present("lifted", 1, lifted=True), present("gone", 9), present("gone-lifted", -9, lifted=True)),
    ]
    todo = changes(need, there, NOW, LASTS)
    assert [item.alert.name for item in todo.put] == ["new", "over"]
    assert [item.fingerprint for item in todo.extend] == ["old"]
    assert [item.fingerprint for item in todo.remove] == ["gone", "gone-lifted"]


def test_when_all_is_as_it_should_be_nothing_is_done() -> None:
    need = wanted([UnderWay(incident("a"), "run")], [policy()], dry_run=False)
    assert changes(need, [present("a", 9)], NOW, LASTS) == changes((), (), NOW, LASTS)


def test_a_silence_names_its_incident_with_a_link_and_is_found_by_it() -> None:
    comment = comment_of(7, "0190d0a0", "http://127.0.0.1:8780/incidents/7")
    assert comment == "self-heal is repairing incident #7 (0190d0a0): http://127.0.0.1:8780/incidents/7"
    assert incident_of(comment) == "0190d0a0"
    assert incident_of("maintenance (0190d0a0): x") is None and incident_of("") is None


def test_only_forgotten_silences_of_our_own_incidents_are_orphans() -> None:
    ours = {"s-a": "id-1", "s-lost": "id-1", "s-theirs": "id-of-another-store"}
    assert orphans(ours, {"id-1"}, [present("a", 9)]) == ("s-lost",)
