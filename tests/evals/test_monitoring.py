"""What the lab's Prometheus and Alertmanager are told, and that the real ones take it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from evals.lab.monitoring import MonitoredHost, Monitoring, has_binary
from evals.lab.probing import ask
from evals.lab.rules import alert_rules, alertmanager_config, prometheus_config
from evals.lab.stage import LabError, StageOptions

HOSTS = [
    MonitoredHost("inst-1", "127.0.0.1:9101", "127.0.0.1:8081"),
    MonitoredHost("inst-2", "127.0.0.1:9102", "127.0.0.1:8082"),
]

needs_servers = pytest.mark.skipif(
    not (has_binary("prometheus") and has_binary("prometheus-alertmanager", "alertmanager")),
    reason="needs prometheus and alertmanager on PATH",
)


@pytest.fixture
def options(tmp_path: Path) -> StageOptions:
    token = tmp_path / "token"
    token.write_text("secret")
    return StageOptions(tmp_path / "work", "http://127.0.0.1:9/webhooks/alertmanager", token)


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool on PATH")
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60)


def test_every_target_carries_the_resource_it_belongs_to(options: StageOptions) -> None:
    config = prometheus_config(options, HOSTS, "127.0.0.1:9093")

    for job in config["scrape_configs"]:
        assert [entry["labels"]["resource_id"] for entry in job["static_configs"]] == ["inst-1", "inst-2"]
        assert {entry["labels"]["resource_kind"] for entry in job["static_configs"]} == {"Instance"}


def test_alertmanager_groups_by_resource_and_sends_the_token_and_what_resolves(options: StageOptions) -> None:
    config = alertmanager_config(options)

    assert config["route"]["group_by"] == ["resource_kind", "resource_id"]
    [webhook] = config["receivers"][0]["webhook_configs"]
    assert webhook["send_resolved"] is True
    assert webhook["http_config"]["authorization"] == {
        "type": "Bearer",
        "credentials_file": str(options.webhook_token_file),
    }


def test_promtool_accepts_the_configuration(options: StageOptions, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(alert_rules("1s")))
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(prometheus_config(options, HOSTS, "127.0.0.1:9093")))

    checked = promtool("check", "config", str(tmp_path / "prometheus.yml"))

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("node", "service", "expected"),
    [
        ("1", "1", None),
        ("1", "0", "ServiceDown"),
        ("0", "0", "InstanceDown"),
        ("0", "1", "InstanceDown"),
    ],
)
def test_a_dead_host_fires_instance_down_alone_and_a_dead_service_fires_service_down(
    tmp_path: Path, node: str, service: str, expected: str | None
) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(alert_rules("1s")))
    resource = 'resource_kind="Instance",resource_id="{}"'
    up = 'up{{job="{}",instance="{}",' + resource + "{}}}"
    extra = ',service="shopd"'
    series = [
        {"series": up.format("node", "a:1", "inst-1", ""), "values": f"1 1 {node} {node} {node} {node}"},
        {
            "series": up.format("service", "a:2", "inst-1", extra),
            "values": f"1 1 {service} {service} {service} {service}",
        },
        # a healthy neighbour, whose series must not silence or add anything
        {"series": up.format("node", "b:1", "inst-2", ""), "values": "1x5"},
        {"series": up.format("service", "b:2", "inst-2", extra), "values": "1x5"},
    ]
    (tmp_path / "case.yml").write_text(
        yaml.safe_dump(
            {
                "rule_files": ["rules.yml"],
                "evaluation_interval": "1s",
                "tests": [
                    {
                        "interval": "1s",
                        "input_series": series,
                        "alert_rule_test": [
                            {"eval_time": "5s", "alertname": name, "exp_alerts": expected_alerts(name, expected)}
                            for name in ("InstanceDown", "ServiceDown")
                        ],
                    }
                ],
            }
        )
    )

    checked = promtool("test", "rules", str(tmp_path / "case.yml"))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def expected_alerts(name: str, expected: str | None) -> list[dict[str, Any]]:
    if name != expected:
        return []
    labels = {
        "severity": "critical", "issue_type": "service_down", "resource_kind": "Instance", "resource_id": "inst-1",
    }  # fmt: skip
    if name == "InstanceDown":
        told = {"summary": "inst-1 does not answer scrapes of its node_exporter"}
        return [{"exp_labels": {**labels, "job": "node", "instance": "a:1"}, "exp_annotations": told}]
    told = {"summary": "shopd on inst-1 does not answer"}
    return [
        {"exp_labels": {**labels, "job": "service", "instance": "a:2", "service": "shopd"}, "exp_annotations": told}
    ]


@needs_servers
def test_a_target_that_does_not_answer_is_named_and_a_reload_is_taken(options: StageOptions) -> None:
    monitoring = Monitoring(options, [MonitoredHost("inst-1", "127.0.0.1:1", "127.0.0.1:2")])
    monitoring.up()
    try:
        with pytest.raises(LabError, match=r"127\.0\.0\.1:[12]/metrics is down"):
            monitoring.wait_healthy(timeout=12)
        monitoring.alert_for = "7s"
        monitoring.reload()
        assert '"duration":7' in ask(f"{monitoring.prometheus_url}/api/v1/rules")[1]
    finally:
        monitoring.down()
    with pytest.raises(OSError):
        ask(f"{monitoring.prometheus_url}/-/ready")
