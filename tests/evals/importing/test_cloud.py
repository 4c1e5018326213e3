"""Shape `cloud`: what CloudWatch, RDS and Performance Insights answered, a folder a case."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.evals.importing import examples
from tests.evals.importing.running import diagnosed, facts_of_case, imported, only_case


async def test_a_managed_replica_that_falls_behind_is_diagnosed(tmp_path: Path) -> None:
    examples.replica_lag_folder(tmp_path / "in" / "001-replica-behind")
    case = only_case(tmp_path / "in", tmp_path / "out")
    run = await diagnosed(case)
    assert run.diagnosis is not None
    assert (run.diagnosis.suspected_cause, run.diagnosis.issue_type) == ("applier_slow", "replication_lag")
    assert case.context.resource is not None and case.context.resource.transport == "none"


def test_metrics_of_another_database_are_kept_apart(tmp_path: Path) -> None:
    case = only_case(examples.replica_lag_folder(tmp_path / "a"), tmp_path / "out")
    assert "metric.cpu_percent" not in facts_of_case(case), "it is the primary that is busy"
    assert "orders-primary" in next(call.text for call in case.calls if call.tool == "imported.cloudwatch")


def test_tables_are_readable_and_secrets_in_them_are_not(tmp_path: Path) -> None:
    case = only_case(examples.replica_lag_folder(tmp_path / "a"), tmp_path / "out")
    told = next(call for call in case.calls if call.tool == "imported.performance_insights")
    assert "UPDATE orders" in told.text and "io/redo_log" in told.text
    assert "hunter2secret" not in (case.folder / "recorded/calls.jsonl").read_text()


async def test_a_full_managed_database_is_known_by_its_event(tmp_path: Path) -> None:
    case = only_case(examples.storage_full_folder(tmp_path / "a"), tmp_path / "out")
    run = await diagnosed(case)
    assert run.diagnosis is not None
    assert run.diagnosis.suspected_cause == "managed_database_broken"
    assert facts_of_case(case)['disk.avail_mib{mount="storage"}'] == 0


def test_a_database_that_recovered_is_not_told_as_full(tmp_path: Path) -> None:
    folder = examples.storage_full_folder(tmp_path / "a")
    found = json.loads((folder / "events.json").read_text())
    more = {**found["Events"][0], "Message": "Finished applying change to allocated storage.",
            "Date": "2026-03-26T12:44:00Z"}  # fmt: skip
    examples.write_json(folder / "events.json", {"Events": [more, *found["Events"]]})
    assert facts_of_case(only_case(folder, tmp_path / "out"))["provider.database_state"] == "available"


def test_a_file_of_unknown_form_is_evidence_that_can_not_pass_for_our_frame(tmp_path: Path) -> None:
    case = only_case(examples.storage_full_folder(tmp_path / "a"), tmp_path / "out")
    told = next(call.text for call in case.calls if call.tool == "imported.topology")
    assert "subnets" in told
    assert "```" not in told and "END DATA" not in told and "[E1]" not in told


def test_what_gives_the_answer_away_is_left_out_of_alert_and_evidence(tmp_path: Path) -> None:
    folder = examples.storage_full_folder(tmp_path / "a")
    examples.write_json(folder / "notes.json", {"window": "12:00", "root_cause": "the_answer_itself"})
    case = only_case(folder, tmp_path / "out")
    files = [path for path in case.folder.rglob("*") if path.is_file()]
    assert not [path.name for path in files if "the_answer_itself" in path.read_text()]


def test_snake_case_answers_are_read_as_well(tmp_path: Path) -> None:
    examples.write_json(tmp_path / "a" / "alert.json", examples.rds_alert("RDSConnectionsHigh", "postgres"))
    result: dict[str, Any] = {
        "id": "m1", "label": "x", "metric_name": "DatabaseConnections", "dimensions": [], "stat": "Maximum",
        "timestamps": ["2026-03-26T12:00:00Z", "2026-03-26T12:05:00Z"], "values": [12, 480],
    }  # fmt: skip
    examples.write_json(tmp_path / "a" / "m.json", {"namespace": "AWS/RDS", "metric_data_results": [result]})
    assert facts_of_case(only_case(tmp_path / "a", tmp_path / "out"))["db.connections_used"] == 480


def test_minus_one_for_a_replicas_lag_means_that_it_does_not_replicate(tmp_path: Path) -> None:
    folder = examples.replica_lag_folder(tmp_path / "a")
    lag = examples.cloudwatch(label="ReplicaLag", values=[3, -1, -1], resource="orders-replica")
    examples.write_json(folder / "cloudwatch.json", {"MetricDataResults": [lag]})
    facts = facts_of_case(only_case(folder, tmp_path / "out"))
    assert facts["repl.receiving"] is False and "repl.lag_seconds" not in facts


def test_bad_metrics_are_told_with_file_field_and_remedy(tmp_path: Path) -> None:
    folder = examples.replica_lag_folder(tmp_path / "a")
    result = examples.cloudwatch(label="ReplicaLag", values=[1, 2])
    examples.write_json(folder / "cloudwatch.json", {"MetricDataResults": [{**result, "Values": [1]}]})
    [problem] = imported(folder, tmp_path / "out").broken
    assert (
        problem
        == f"{folder / 'cloudwatch.json'}: metric 0: Values: 1 values for 2 Timestamps; give a value for each time"
    )


def test_a_load_without_times_is_told_and_not_guessed(tmp_path: Path) -> None:
    folder = examples.replica_lag_folder(tmp_path / "a")
    examples.write_json(folder / "insights.json", {"db_load": {"timestamps": 5, "values": [1, 2]}})
    [problem] = imported(folder, tmp_path / "out").broken
    assert "insights.json: db_load: Values: 2 values for no Timestamps" in problem


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = examples.storage_full_folder(tmp_path / "in" / "a")
    outside = examples.write_json(tmp_path / "outside.json", {"kept": "elsewhere"})
    os.symlink(outside, folder / "linked.json")
    case = only_case(tmp_path / "in", tmp_path / "out")
    assert not [call.tool for call in case.calls if "linked" in call.tool]
    assert "elsewhere" not in (case.folder / "recorded/calls.jsonl").read_text()
