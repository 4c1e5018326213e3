"""What an incoming alert means, as a table of small stories."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agents.instance import INSTANCE
from graph.records import Alert, OutcomeStatus, Resource, SshAccess
from graph.rules.classify import Placed, cleaned, issue_type_of, place
from graph.rules.intake import KnownAlert, OpenIncident, intake

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RESOURCE = Resource(
    id="inst-1", kind="Instance", address="192.0.2.1", ssh=SshAccess(user="ops", key_file="k", known_hosts="h")
)
PLACED = Placed("Instance", "inst-1", "service_down", RESOURCE)


def alert(name: str = "InstanceDown", status: str = "firing", **labels: str) -> Alert:
    base = {"alertname": name, "resource_kind": "Instance", "resource_id": "inst-1"}
    return Alert.model_validate({"status": status, "labels": base | labels, "startsAt": NOW})


def incident(*alerts: Alert, outcome: OutcomeStatus | None = None) -> OpenIncident:
    return OpenIncident("i-1", 7, {seen.fingerprint: seen.status for seen in alerts}, outcome)


def test_a_first_alert_opens_an_incident() -> None:
    assert intake(alert(), PLACED, None).decision == "opened"


def test_the_same_alert_again_joins_its_open_incident() -> None:
    found = intake(alert(), PLACED, incident(alert()))
    assert (found.decision, found.incident_id) == ("joined", "i-1") and "already part of #7" in found.reason


def test_another_alert_on_the_resource_joins_too() -> None:
    found = intake(alert("ServiceDown"), PLACED, incident(alert()))
    assert found.decision == "joined" and "ServiceDown joins #7" in found.reason


@pytest.mark.parametrize("outcome", ["escalated", "declined"])
def test_a_repeat_on_an_escalated_or_declined_incident_joins_and_starts_nothing(outcome: OutcomeStatus) -> None:
    found = intake(alert(), PLACED, incident(alert(), outcome=outcome))
    assert found.decision == "joined" and "keeps the resource" in found.reason and not found.recheck


def test_a_repeat_of_a_firing_that_was_mitigated_is_checked_before_it_reopens() -> None:
    found = intake(alert(), PLACED, None, KnownAlert("i-0", 6, "mitigated"))
    assert (found.decision, found.recheck, found.incident_id) == ("ignored", True, "i-0")


def test_a_resolved_alert_without_an_incident_is_ignored() -> None:
    assert intake(alert(status="resolved"), PLACED, None).decision == "ignored"


def test_one_of_two_alerts_resolved_changes_nothing_yet() -> None:
    found = intake(alert(status="resolved"), PLACED, incident(alert(), alert("ServiceDown")))
    assert found.decision == "resolved" and not (found.closes or found.withdraws) and "1 still firing" in found.reason


def test_all_alerts_resolved_withdraws_what_still_waits() -> None:
    assert intake(alert(status="resolved"), PLACED, incident(alert())).withdraws


def test_all_alerts_resolved_closes_an_escalated_incident() -> None:
    assert intake(alert(status="resolved"), PLACED, incident(alert(), outcome="escalated")).closes


def test_a_resolved_alert_the_incident_does_not_know_is_ignored() -> None:
    found = intake(alert("Other", status="resolved"), PLACED, incident(alert()))
    assert found.decision == "ignored"


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({"alertname": "A"}, "label resource_kind and resource_id missing"),
        ({"alertname": "A", "resource_kind": "Instance"}, "label resource_id missing"),
        ({"alertname": "A", "resource_kind": "Toaster", "resource_id": "t"}, "'Toaster' names no known kind"),
        ({"alertname": "A", "resource_kind": "Instance", "resource_id": "inst-9"}, "names no declared Instance"),
    ],
)
def test_an_alert_we_cannot_place_is_opened_as_escalated_with_the_remedy(labels: dict[str, str], problem: str) -> None:
    found = Alert(status="firing", labels=labels)
    placed = place(found, {"Instance": INSTANCE}, {("Instance", "inst-1"): RESOURCE})
    decided = intake(found, placed, None)
    assert placed.problem is not None and problem in placed.problem
    assert (decided.decision, decided.escalate) == ("opened", placed.problem)


def test_two_alerts_we_cannot_place_are_two_incidents() -> None:
    first, second = (place(Alert(status="firing", labels={"alertname": name}), {}, {}) for name in "ab")
    assert first.resource_id != second.resource_id


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("InstanceDown", None, "service_down"),
        ("HostOutOfDiskSpace", None, "disk_full"),
        ("NodeFilesystemAlmostOutOfSpace", None, "disk_full"),
        ("HostHighCpuLoad", None, "high_cpu"),
        ("PostgresqlReplicationLag", None, "replication_lag"),
        ("BlackboxProbeFailed", None, "connection_timeout"),
        ("Mystery", None, "unknown"),
        ("Mystery", "disk_full", "disk_full"),
        ("InstanceDown", "made_up", "service_down"),
    ],
)
def test_the_issue_type_comes_from_its_label_or_else_from_the_name(name: str, label: str | None, expected: str) -> None:
    labels = {"alertname": name} | ({"issue_type": label} if label else {})
    assert issue_type_of(Alert(status="firing", labels=labels)) == expected


def test_hostile_labels_are_cleaned_and_the_cut_is_told() -> None:
    dirty = Alert(status="firing", labels={"alertname": "A\x1b[2J\x00", "x": "y" * 100_000})
    found = cleaned(dirty)
    assert found.labels["alertname"] == "A\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"
    assert len(found.labels["x"]) < 2200 and found.labels["x"].endswith("more characters cut)")


def test_a_missing_fingerprint_is_computed_from_the_labels() -> None:
    one, other = Alert(status="firing", labels={"a": "1"}), Alert(status="resolved", labels={"a": "1"})
    assert one.fingerprint == other.fingerprint != Alert(status="firing", labels={"a": "2"}).fingerprint
