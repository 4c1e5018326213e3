"""What one fault came to, judged from the record and from the world; and which hosts it needs."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from evals.lab.faults import NAMES, faults
from evals.lab.runner import all_allowed
from evals.lab.stage import Fault
from evals.lab.verdict import by_stage, failed, judge, roles_for, stray, table
from server.policies import parse_policies

FAULT = Fault(
    name="x",
    issue_type="service_down",
    settings=("lab",),
    alertname="ServiceDown",
    expected_cause="process_crashed",
    expected_outcome="mitigated",
    inject=lambda stage, host: None,
    restore=lambda stage, host: None,
    expected_actions=("restart_service",),
)
RIGHT: dict[str, Any] = {
    "alerts": [{"labels": {"alertname": "ServiceDown"}}, {"labels": {"alertname": "UnitFailed"}}],
    "diagnosis": {"suspected_cause": "process_crashed"},
    "outcome": {
        "status": "mitigated",
        "times": {
            "received": "2026-01-01T00:00:02+00:00",
            "first_action": "2026-01-01T00:00:03+00:00",
            "verified": "2026-01-01T00:00:08.5+00:00",
            "approved": None,
        },
    },
    "actions": [{"action": "restart_service"}],
}
AT = 1767225600.0


def test_what_went_as_it_should_is_right_and_has_its_times() -> None:
    verdict = judge(FAULT, RIGHT, AT, mended=True)
    assert verdict.ok
    assert verdict.seconds == {"alert": 2.0, "first_action": 1.0, "mitigated": 6.5}


@pytest.mark.parametrize(
    ("change", "mended", "problem"),
    [
        ({"diagnosis": {"suspected_cause": "oom_killed"}}, True, "cause oom_killed"),
        ({"diagnosis": None}, True, "cause none"),
        ({"actions": []}, True, "did nothing"),
        ({"alerts": []}, True, "alert ServiceDown did not come"),
        ({"outcome": {"status": "escalated"}}, True, "escalated, not mitigated"),
        ({}, False, "the world itself is not well"),
    ],
)
def test_what_did_not_is_wrong_in_words(change: dict[str, Any], mended: bool, problem: str) -> None:
    verdict = judge(FAULT, RIGHT | change, AT, mended)
    assert not verdict.ok and any(problem in said for said in verdict.problems)


def test_an_entry_of_the_file_has_the_agreed_keys() -> None:
    agreed = {"fault", "issue_type", "kind", "cause_expected", "cause_found", "outcome_expected", "outcome", "actions"}
    for verdict in (judge(FAULT, RIGHT, AT, True), failed(FAULT, "no alert came")):
        entry = json.loads(json.dumps(verdict.as_json()))
        assert agreed | {"ok", "seconds"} <= set(entry)
        assert set(entry["seconds"]) == {"alert", "first_action", "mitigated"}
    assert not failed(FAULT, "no alert came").ok


def test_the_table_says_what_was_wrong() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table([judge(FAULT, RIGHT, AT, True), failed(FAULT, "no alert came")]))
    text = console.export_text()
    assert "right" in text and "no alert came" in text and "6.5 s" in text


def test_a_fault_gets_the_hosts_it_needs_and_shares_them_with_others() -> None:
    assert roles_for(FAULT) == ("app",)
    assert roles_for(replace(FAULT, needs=("standby",))) == ("app", "standby")
    assert roles_for(replace(FAULT, on="standby")) == ("app", "standby")
    assert roles_for(replace(FAULT, on="pg_replica")) == ("pg_primary", "pg_replica")
    groups = by_stage([FAULT, replace(FAULT, on="my_primary"), replace(FAULT, name="y")])
    assert [[each.name for each in group] for group in groups.values()] == [["x", "y"], ["x"]]


def test_there_are_at_least_thirty_faults_over_all_issue_types_and_both_kinds_and_some_must_not_be_healed() -> None:
    found = faults("lab")
    assert len(found) == len(NAMES) == len(set(NAMES)) >= 30
    assert {each.issue_type for each in found} == {
        "service_down", "disk_full", "high_cpu", "replication_lag", "connection_timeout",
    }  # fmt: skip
    assert {each.kind for each in found} == {"Instance", "Database"}
    assert sum(each.expected_outcome == "escalated" for each in found) >= 4
    assert sum(each.expected_outcome == "self_resolved" for each in found) >= 2


def test_in_the_lab_all_that_is_declared_may_run_unasked() -> None:
    policies = parse_policies(all_allowed(), {"Instance", "Database"})
    by_kind = {policy.resource_kind: policy for policy in policies}
    assert "hard_reboot" in by_kind["Instance"].allow_destructive
    assert "promote_postgres_replica" in by_kind["Database"].allow_destructive
    assert len({policy.issue_type for policy in policies}) == 6


def test_another_alert_of_the_same_kind_of_trouble_speaks_of_the_fault_as_well() -> None:
    other = {"alertname": "UnitFailed", "issue_type": "service_down"}
    assert judge(FAULT, RIGHT | {"alerts": [{"labels": other}]}, AT, mended=True).ok
    full = {"alertname": "DiskFull", "issue_type": "disk_full"}
    assert not judge(FAULT, RIGHT | {"alerts": [{"labels": full}]}, AT, mended=True).ok


@pytest.mark.parametrize(
    ("alertname", "status", "about_else"),
    [
        ("InstanceDown", "self_resolved", True),
        ("InstanceDown", "mitigated", False),
        ("ServiceDown", "self_resolved", False),
    ],
)
def test_what_resolves_by_itself_and_never_had_the_faults_alert_was_about_something_else(
    alertname: str, status: str, about_else: bool
) -> None:
    record = {"alerts": [{"labels": {"alertname": alertname}}], "outcome": {"status": status}}
    assert stray(FAULT, record) is about_else
