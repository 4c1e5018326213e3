"""Foreign alerts carry none of our labels: rules over name, job, exporter and labels place them."""

from __future__ import annotations

import pytest

from evals.importing.placing import Place, clean_id, place, same_resource
from graph.records import Alert


def alert(**labels: str) -> Alert:
    return Alert(status="firing", labels=labels)


@pytest.mark.parametrize(
    ("labels", "kind", "resource_id", "issue_type"),
    [
        ({"alertname": "NodeCpuHigh", "job": "node", "instance": "10.0.0.5:9100"}, "Instance", "10.0.0.5", "high_cpu"),
        ({"alertname": "HostOutOfDiskSpace", "instance": "web-1:9100"}, "Instance", "web-1", "disk_full"),
        ({"alertname": "InstanceDown", "job": "node", "instance": "web-2:9100"}, "Instance", "web-2", "service_down"),
        ({"alertname": "KubeNodeNotReady", "node": "worker-3"}, "Instance", "worker-3", "unknown"),
        ({"alertname": "PostgresqlDown", "instance": "pg-1:9187"}, "Database", "pg-1", "service_down"),
        ({"alertname": "MysqlSlaveIoThreadNotRunning", "instance": "my-1:9104"}, "Database", "my-1", "replication_lag"),
        ({"alertname": "TooManyConnections", "job": "postgres", "pod": "pg-0"}, "Database", "pg-0",
         "connection_timeout"),
        ({"alertname": "high", "MetricName": "CPUUtilization", "DBInstanceIdentifier": "orders"}, "Database", "orders",
         "high_cpu"),
        ({"alertname": "high", "MetricName": "CPUUtilization", "InstanceId": "i-0abc"}, "Instance", "i-0abc",
         "high_cpu"),
    ],
)  # fmt: skip
def test_an_alert_is_placed_by_its_name_job_and_labels(
    labels: dict[str, str], kind: str, resource_id: str, issue_type: str
) -> None:
    found = place(alert(**labels))
    assert isinstance(found, Place), found
    assert (found.kind, found.resource_id, found.issue_type) == (kind, resource_id, issue_type)


def test_what_is_neither_host_nor_database_is_told_with_the_labels_that_were_seen() -> None:
    why = place(alert(alertname="KubePodCrashLooping", pod="web-7d", namespace="shop"))
    assert isinstance(why, str)
    assert "neither a host nor a database" in why and "pod='web-7d'" in why


def test_an_alert_that_names_no_resource_says_which_labels_were_looked_for() -> None:
    why = place(alert(alertname="PostgresqlDown", severity="page"))
    assert isinstance(why, str)
    assert "dbinstanceidentifier" in why and "severity='page'" in why


def test_hints_place_only_what_the_alert_itself_does_not() -> None:
    asked = place(alert(alertname="AskedByPeople"), {"DBInstanceIdentifier": "orders", "engine": "mysql"})
    assert isinstance(asked, Place) and (asked.kind, asked.resource_id, asked.engine) == ("Database", "orders", "mysql")
    own = place(alert(alertname="NodeDown", job="node", instance="web-1:9100"), {"DBInstanceIdentifier": "orders"})
    assert isinstance(own, Place) and (own.kind, own.resource_id) == ("Instance", "web-1")


def test_a_managed_database_its_engine_and_its_role_are_known_by_labels() -> None:
    found = place(alert(alertname="RDSReplicaLagHigh", service="rds", engine="aurora-mysql", db_instance="orders-2"))
    assert isinstance(found, Place)
    assert (found.managed, found.engine, found.is_replica) == (True, "mysql", True)


def test_an_id_is_no_path_and_leads_nowhere() -> None:
    assert clean_id("../../etc/passwd") == ""
    assert clean_id("https://shop.example:8443/healthz") == "shop.example"
    assert "/" not in clean_id("a/../../b") and clean_id("x y;rm -rf") == "x-y-rm--rf"


def test_a_series_of_another_resource_is_not_taken_for_this_one() -> None:
    at = Place("Database", "orders-replica", "replication_lag")
    assert same_resource({"DBInstanceIdentifier": "orders-replica"}, at)
    assert same_resource({"mode": "idle"}, at)
    assert not same_resource({"DBInstanceIdentifier": "orders-primary"}, at)
