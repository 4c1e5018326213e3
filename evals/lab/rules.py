"""What the lab's Prometheus scrapes and alerts on, and where its Alertmanager posts, as the configuration files say it.

Pure rendering: `monitoring` writes the results to disk and runs the servers on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.lab.stage import StageOptions


@dataclass(frozen=True)
class MonitoredHost:
    """One host to scrape. `node_exporter` and `service` are "ip:port"; `resource_id` is put on all its series."""

    resource_id: str
    node_exporter: str
    service: str
    service_name: str = "shopd"

    def labels(self) -> dict[str, str]:
        """The labels that let an alert be traced to its resource."""
        return {"resource_kind": "Instance", "resource_id": self.resource_id}


def prometheus_config(options: StageOptions, hosts: Sequence[MonitoredHost], alertmanager: str) -> dict[str, Any]:
    """prometheus.yml. `alertmanager` is "ip:port"; rules are expected beside it in rules.yml."""
    return {
        "global": {
            "scrape_interval": options.scrape_interval,
            # below the interval, or a hung host's scrapes would overlap
            "scrape_timeout": "800ms" if options.scrape_interval == "1s" else options.scrape_interval,
            "evaluation_interval": options.scrape_interval,
        },
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": "node",
                "static_configs": [{"targets": [host.node_exporter], "labels": host.labels()} for host in hosts],
            },
            {
                "job_name": "service",
                "static_configs": [
                    {"targets": [host.service], "labels": {**host.labels(), "service": host.service_name}}
                    for host in hosts
                ],
            },
        ],
    }


def alert_rules(alert_for: str) -> dict[str, Any]:
    """rules.yml. `alert_for` is how long a condition must hold, a Prometheus duration."""
    labels = {"severity": "critical", "issue_type": "service_down"}
    host_down: dict[str, Any] = {
        "alert": "InstanceDown",
        "expr": 'up{job="node"} == 0',
        "for": alert_for,
        "labels": labels,
        "annotations": {"summary": "{{ $labels.resource_id }} does not answer scrapes of its node_exporter"},
    }
    service_down: dict[str, Any] = {
        "alert": "ServiceDown",
        # a dead host takes its service along: InstanceDown says that already
        "expr": 'up{job="service"} == 0 unless on (resource_id) (up{job="node"} == 0)',
        "for": alert_for,
        "labels": labels,
        "annotations": {"summary": "{{ $labels.service }} on {{ $labels.resource_id }} does not answer"},
    }
    return {"groups": [{"name": "lab", "rules": [host_down, service_down]}]}


def alertmanager_config(options: StageOptions) -> dict[str, Any]:
    """alertmanager.yml: one group per resource, posted with a bearer token as soon as it fires or resolves."""
    token_file: Path = options.webhook_token_file.resolve()
    return {
        "route": {
            "receiver": "selfheal",
            "group_by": ["resource_kind", "resource_id"],
            "group_wait": "0s",
            "group_interval": options.group_interval,
            "repeat_interval": options.repeat_interval,
        },
        "receivers": [
            {
                "name": "selfheal",
                "webhook_configs": [
                    {
                        "url": options.webhook_url,
                        "send_resolved": True,
                        "http_config": {"authorization": {"type": "Bearer", "credentials_file": str(token_file)}},
                    }
                ],
            }
        ],
    }
