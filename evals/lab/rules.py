"""What the lab's Prometheus scrapes and alerts on, and where its Alertmanager posts, as the configuration files say it.

Pure rendering: `monitoring` writes the results to disk and runs the servers on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from evals.lab.stage import StageOptions
from evals.lab.surroundings import Surroundings, current
from server.alerting import rule_files

WINDOW = "5s"
"""Over which the lab's rates are taken."""
_RATE_WINDOW = re.compile(r"\[[0-9]+[smh]\]")


@dataclass(frozen=True)
class MonitoredHost:
    """One host to scrape. `node_exporter` and `service` are "ip:port"; `resource_id` is put on all its series."""

    resource_id: str
    node_exporter: str
    service: str = ""
    """Empty for a host without a service that tells metrics, as one of a database."""
    service_name: str = "shopd"

    def labels(self) -> dict[str, str]:
        """The labels that let an alert be traced to its resource."""
        return {"resource_kind": "Instance", "resource_id": self.resource_id}


def prometheus_config(
    options: StageOptions, hosts: Sequence[MonitoredHost], alertmanager: str, jobs: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """prometheus.yml. `alertmanager` is "ip:port", `jobs` are scraped besides.

    Rules are expected beside it in rules.yml.
    """
    return {
        "global": {
            "scrape_interval": options.scrape_interval,
            # below the interval, or a hung host's scrapes would overlap
            "scrape_timeout": "800ms" if options.scrape_interval == "1s" else options.scrape_interval,
            "evaluation_interval": options.scrape_interval,
            **({"external_labels": dict(site)} if (site := current().site) else {}),
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
                    if host.service
                ],
            },
            *jobs,
        ],
    }


def probe_job(addresses: Mapping[str, str], exporter: str) -> dict[str, Any]:
    """The job in which blackbox_exporter at `exporter` asks each resource's URL, as its clients do."""
    return {
        "job_name": "blackbox",
        "metrics_path": "/probe",
        "params": {"module": ["http_2xx"]},
        "static_configs": [
            {"targets": [address], "labels": {"resource_kind": "Instance", "resource_id": resource_id}}
            for resource_id, address in addresses.items()
        ],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": exporter},
        ],
    }


def alert_rules(alert_for: str, only: Sequence[str] = (), around: Surroundings | None = None) -> dict[str, Any]:
    """rules.yml: the rules that ship with the product, quicker. `alert_for` replaces how long conditions must hold;
    `only` names the alerts to have, where not all; `around` is how they are set besides, by default as this process's
    surroundings say."""
    set_as = replace(around or current(), alert_for=alert_for)
    groups = [group for file in rule_files() for group in yaml.safe_load(file.read_text())["groups"]]
    wanted = [(group, [rule for rule in group["rules"] if not only or rule["alert"] in only]) for group in groups]
    return {
        "groups": [{**group, "rules": [_quick(rule, set_as) for rule in rules]} for group, rules in wanted if rules]
    }


def _quick(rule: dict[str, Any], around: Surroundings) -> dict[str, Any]:
    return around.rule({**rule, "expr": _RATE_WINDOW.sub(f"[{WINDOW}]", rule["expr"])})


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
