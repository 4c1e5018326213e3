"""A real Prometheus on a free loopback port, with a rule that always fires and one that never does."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.http_faults import closed_port
from tests.tools.real_daemon import running

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s, external_labels: {cluster: west}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: node
    static_configs: [{targets: ["SELF"], labels: {resource_kind: Instance, resource_id: inst-1}}]
  - job_name: gone
    static_configs: [{targets: ["NOBODY"], labels: {resource_kind: Instance, resource_id: inst-1}}]
"""
RULES = """
groups:
  - name: trial
    rules:
      - {alert: AlwaysFires, expr: vector(1), labels: {resource_id: inst-1, severity: critical}}
      - {alert: NeverFires, expr: vector(1) > 2, labels: {resource_id: inst-1}}
      - {alert: Waits, expr: vector(1), for: 1h, labels: {resource_id: inst-1}}
      - {alert: TargetDown, expr: up == 0}
"""


@contextlib.contextmanager
def running_prometheus() -> Iterator[str]:
    """Its URL, once it has scraped and evaluated."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("no `prometheus` on PATH: install the Debian package prometheus")
    port = closed_port()
    folder = Path(tempfile.mkdtemp(prefix="selfheal-prometheus-"))
    config = CONFIG.replace("SELF", f"127.0.0.1:{port}").replace("NOBODY", f"127.0.0.1:{closed_port()}")
    (folder / "prometheus.yml").write_text(config)
    (folder / "rules.yml").write_text(RULES)
    command = [
        binary,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    url = f"http://127.0.0.1:{port}"
    with running("prometheus", command, folder, lambda: _evaluated(url), 40):
        yield url


def _evaluated(url: str) -> bool:
    """Whether it has scraped both targets, and its rules have found the one that is down."""
    groups = _ask(f"{url}/api/v1/rules?type=alert")["groups"]
    active = [item for group in groups for rule in group["rules"] for item in rule["alerts"]]
    down = any(item["labels"]["alertname"] == "TargetDown" for item in active)
    return down and len(_ask(f"{url}/api/v1/query?query=up")["result"]) == 2


def _ask(url: str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=2) as answer:
        return json.load(answer)["data"]
