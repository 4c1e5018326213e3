"""Shape `series`: Alertmanager's bodies beside named numbers, sixty of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.importing.metric_names import read_name
from tests.evals.importing import examples
from tests.evals.importing.running import diagnosed, facts_of_case, imported, only_case


async def test_a_file_system_that_fills_up_is_diagnosed_as_a_full_disk(tmp_path: Path) -> None:
    case = only_case(examples.write_json(tmp_path / "cases.json", [examples.FULL_DISK]), tmp_path / "out")
    run = await diagnosed(case)
    assert run.diagnosis is not None and run.plan is not None
    assert (run.diagnosis.issue_type, run.diagnosis.target) == ("disk_full", "/data")
    assert run.plan.steps == (), "what fills it was not recorded, so nothing may be removed"
    disk = next(call for call in case.calls if call.tool == "disk")
    assert "what fills it was not recorded" in disk.text
    assert disk.facts['disk.over{mount="/data"}'] == "bytes"


async def test_cpu_time_that_the_machine_beneath_withholds_is_seen(tmp_path: Path) -> None:
    case = only_case(examples.write_json(tmp_path / "cases.json", [examples.STOLEN_CPU]), tmp_path / "out")
    run = await diagnosed(case)
    assert run.diagnosis is not None
    assert (run.diagnosis.suspected_cause, run.diagnosis.issue_type) == ("cpu_steal", "high_cpu")
    facts = facts_of_case(case)
    assert (facts["metric.cpu_percent"], facts["metric.cpu_usual_percent"]) == (98.0, 10.0)


async def test_a_replica_of_mysql_that_is_behind_is_diagnosed_as_such(tmp_path: Path) -> None:
    case = only_case(examples.write_json(tmp_path / "cases.json", [examples.MYSQL_BEHIND]), tmp_path / "out")
    assert case.context.resource is not None and case.context.resource.database is not None
    assert (case.context.resource.database.engine, case.context.resource.database.role) == ("mysql", "replica")
    run = await diagnosed(case)
    assert run.diagnosis is not None
    assert (run.diagnosis.suspected_cause, run.diagnosis.issue_type) == ("applier_slow", "replication_lag")


async def test_sessions_idle_in_transactions_that_take_all_connections_are_diagnosed(tmp_path: Path) -> None:
    case = only_case(examples.write_json(tmp_path / "cases.json", [examples.PG_CROWDED]), tmp_path / "out")
    run = await diagnosed(case)
    assert run.diagnosis is not None and run.plan is not None
    assert run.diagnosis.suspected_cause == "connections_exhausted"
    assert [step.action for step in run.plan.steps] == ["end_idle_sessions"]


def test_what_has_no_home_is_still_readable_and_comes_as_its_shape(tmp_path: Path) -> None:
    told = examples.series_case(
        examples.body("NodeCpuHigh", job="node", instance="host-a:9100"),
        {"network": {"irate(node_netstat_Tcp_PassiveOpens": examples.rising(1, 59), "odd name": examples.flat(3)}},
        slow_queries=[{"sql": "select pg_sleep(1)", "calls": 4}],
    )
    case = only_case(examples.write_json(tmp_path / "cases.json", told), tmp_path / "out")
    told_by = {call.tool: call.text for call in case.calls}
    assert "rose from 1 to 59" in told_by["imported.network"] and "▁" in told_by["imported.network"]
    assert "odd name constant 3" in told_by["imported.network"]
    assert "pg_sleep" in told_by["imported.slow_queries"]
    assert facts_of_case(case) == {}


def test_a_case_of_very_many_series_stays_small_and_says_what_was_left_out(tmp_path: Path) -> None:
    many = {f"odd_{number}": examples.rising(number, number + 9) for number in range(500)}
    told = examples.series_case(examples.body("NodeDown", instance="a:1"), {"cpu": many, "io": many})
    done = imported(examples.write_json(tmp_path / "cases.json", told), tmp_path / "out")
    [built] = done.built
    assert built.left_out == 400
    assert len(built.case.calls) <= 24
    assert all(len(call.text.encode()) <= 300 for call in built.case.calls)
    assert any("lines left out)" in call.text for call in built.case.calls)


def test_the_answer_stands_in_expected_yaml_alone(tmp_path: Path) -> None:
    alert = examples.body("NodeCpuHigh", job="node", instance="host-a:9100")
    alert["alerts"][0]["annotations"]["root_cause"] = "zebra"
    told = examples.series_case(
        alert, {"cpu": {"node_load1": examples.flat(9)}}, name="zebra-case", labels=["zebra"], script="zebra()",
        command="zebra", description="zebra", workload={"select 1": 5, "root_cause": "zebra"},
    )  # fmt: skip
    case = only_case(examples.write_json(tmp_path / "cases.json", [told]), tmp_path / "out")
    holding = [path.name for path in case.folder.rglob("*") if path.is_file() and "zebra" in path.read_text()]
    assert holding == ["expected.yaml"] and "zebra" not in case.id
    assert not case.scored and case.expected.accepted_causes == ("unknown",)


def test_a_case_begins_while_its_alert_fires_and_with_our_labels(tmp_path: Path) -> None:
    case = only_case(examples.write_json(tmp_path / "cases.json", [examples.FULL_DISK]), tmp_path / "out")
    [alert] = case.alerts.alerts
    assert alert.firing and alert.ends_at is None and alert.generator_url == ""
    assert {key: alert.labels[key] for key in ("resource_kind", "resource_id", "issue_type")} == {
        "resource_kind": "Instance", "resource_id": "host-a", "issue_type": "disk_full",
    }  # fmt: skip
    assert alert.starts_at is not None and alert.starts_at <= case.received_at


def test_the_made_up_resource_can_touch_nothing(tmp_path: Path) -> None:
    case = only_case(examples.write_json(tmp_path / "cases.json", [examples.FULL_DISK]), tmp_path / "out")
    resource = case.context.resource
    assert resource is not None and resource.ssh is not None
    assert resource.address == "192.0.2.1" and not Path(resource.ssh.key_file).exists()


def test_alerts_about_other_resources_are_told_beside_the_case(tmp_path: Path) -> None:
    bodies = [
        examples.body("NodeCpuHigh", job="node", instance="host-a:9100"),
        examples.body("PostgresqlDown", job="postgres", instance="host-b:9187"),
        examples.body("NodeLoadHigh", job="node", instance="host-a:9100"),
    ]
    told = {**examples.series_case(bodies[0], {"cpu": {}}), "alerts": bodies}
    case = only_case(examples.write_json(tmp_path / "cases.json", told), tmp_path / "out")
    assert [alert.name for alert in case.alerts.alerts] == ["NodeCpuHigh", "NodeLoadHigh"]
    assert "PostgresqlDown" in next(call.text for call in case.calls if call.tool == "imported.other_alerts")


def test_cases_may_be_an_object_by_name_and_one_bad_case_spoils_no_other(tmp_path: Path) -> None:
    bad = {**examples.FULL_DISK, "exceptions": {"cpu": {"node_load1": [1, "much"]}}}
    nowhere = examples.series_case(examples.body("KubePodCrashLooping", pod="p"), {})
    path = examples.write_json(tmp_path / "cases.json", {"1": examples.FULL_DISK, "2": bad, "3": nowhere})
    done = imported(path, tmp_path / "out")
    assert len(done.built) == 1 and (tmp_path / "out" / done.built[0].case.id / "case.yaml").exists()
    assert done.broken == [f"{path}: 2: exceptions.cpu.node_load1.1: 'much' is no number; give one, or null"]
    assert [name for name, _ in done.unplaced] == ["cases.json#3"]
    assert done.summary()["by_issue_type"] == {"disk_full": 1}


@pytest.mark.parametrize(
    ("name", "last", "facts"),
    [
        ("1-(node_filesystem_free_bytes", 0.43, {'disk.used_percent{mount="/"}': 43.0}),
        ("node_filesystem_avail_bytes / node_filesystem_size_bytes", 0.57, {}),
        ("rate(node_filesystem_avail_bytes[5m])", 12.0, {}),
        ('node_filesystem_avail_bytes{fstype="tmpfs"}', 0.0, {}),
        ("node_load1", 9.5, {"host.load1": 9.5}),
        ('100 - (avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)', 97.0,
         {"cpu.busy_percent": 97.0}),
        ('node_cpu_seconds_total{mode="idle"}', 8_812_000.0, {}),
        ("instance:node_cpu:ratio", 0.5, {"metric.cpu_percent": 50.0}),
    ],
)  # fmt: skip
def test_a_number_is_no_fact_where_its_name_does_not_say_so(
    tmp_path: Path, name: str, last: float, facts: dict[str, float]
) -> None:
    beside = {"node_filesystem_size_bytes": examples.flat(212e9), name: examples.flat(last)}
    told = examples.series_case(examples.body("NodeDown", job="node", instance="a:9100"), {"any": beside})
    found = facts_of_case(only_case(examples.write_json(tmp_path / "cases.json", told), tmp_path / "out"))
    assert found.items() >= facts.items()
    assert facts or not found


@pytest.mark.parametrize(
    ("text", "metric", "is_rate", "inverted"),
    [
        ("node_load1", "node_load1", False, False),
        ('irate(node_cpu_seconds_total{mode="idle"}[1m])', "node_cpu_seconds_total", True, False),
        ("irate(node_disk_read_bytes_total", "node_disk_read_bytes_total", True, False),
        ('100 - (avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)', "node_cpu_seconds_total",
         True, True),
        ("sum by (job) (up)", "up", False, False),
        ("", "", False, False),
    ],
)  # fmt: skip
def test_a_name_is_taken_apart_though_it_is_half_an_expression(
    text: str, metric: str, is_rate: bool, inverted: bool
) -> None:
    found = read_name(text)
    assert (found.metric, found.is_rate, found.inverted) == (metric, is_rate, inverted)
