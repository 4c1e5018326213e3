"""A real Alertmanager on a free loopback port, told of alerts as Prometheus tells it, by its API."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.tools.http_faults import closed_port
from tests.tools.real_daemon import running

CONFIG = """
route: {receiver: us, group_by: [resource_id], group_wait: 0s, group_interval: 1s, repeat_interval: 1s}
receivers: [{name: us, webhook_configs: [{url: "WEBHOOK", send_resolved: true}]}]
inhibit_rules:
  - source_matchers: [alertname = SiteDown]
    target_matchers: [alertname != SiteDown]
"""


class RealAlertmanager:
    """Where it is, and what Prometheus would tell it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fires(self, labels: dict[str, str]) -> None:
        # From now on: an earlier firing that overlaps would be merged with this one, and its end would count.
        now = datetime.now(UTC)
        self._alert(labels, now, now + timedelta(minutes=30))

    def resolves(self, labels: dict[str, str]) -> None:
        now = datetime.now(UTC)
        self._alert(labels, now, now)

    def silences(self, by: str, state: str = "active") -> list[dict[str, Any]]:
        """Those that somebody has put, and that are in this state."""
        found = [item for item in self.ask("GET", "/api/v2/silences") if item["createdBy"] == by]
        return [item for item in found if item["status"]["state"] == state]

    def silence(self, labels: dict[str, str], by: str, comment: str = "", minutes: float = 60) -> str:
        matchers = [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()]
        now = datetime.now(UTC)
        times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(minutes=minutes)).isoformat()}
        body = {"matchers": matchers, **times, "createdBy": by, "comment": comment}
        return str(self.ask("POST", "/api/v2/silences", body)["silenceID"])

    def expire(self, silence_id: str) -> None:
        self.ask("DELETE", f"/api/v2/silence/{silence_id}")

    def state_of(self, alertname: str) -> str | None:
        alerts = self.ask("GET", "/api/v2/alerts")
        return next((item["status"]["state"] for item in alerts if item["labels"]["alertname"] == alertname), None)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with opener.open(request, timeout=5) as answer:
            content = answer.read()
        return json.loads(content) if content.strip() else None

    def _alert(self, labels: dict[str, str], since: datetime, until: datetime) -> None:
        alert = {"labels": labels, "startsAt": since.isoformat(), "endsAt": until.isoformat()}
        self.ask("POST", "/api/v2/alerts", [alert])


@contextlib.contextmanager
def running_alertmanager(webhook: str = "http://127.0.0.1:9/") -> Iterator[RealAlertmanager]:
    """Ready to be told of alerts; it posts to `webhook` every second as long as they fire."""
    binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if binary is None:
        pytest.skip("no `prometheus-alertmanager` on PATH: install the Debian package prometheus-alertmanager")
    folder, port = Path(tempfile.mkdtemp(prefix="selfheal-alertmanager-")), closed_port()
    (folder / "alertmanager.yml").write_text(CONFIG.replace("WEBHOOK", webhook))
    command = [
        binary,
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    made = RealAlertmanager(f"http://127.0.0.1:{port}")

    def ready() -> bool:
        made.ask("GET", "/api/v2/status")
        return True

    with running("alertmanager", command, folder, ready, 30):
        yield made
