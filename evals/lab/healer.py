"""A real `selfheal serve` healing a stage: its configuration, its process, and the way to talk to it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from evals.lab.probing import ask, wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError, Stage
from server.client import ServerClient, ServerUnreachable

ROOT = Path(__file__).resolve().parents[2]
NAME = "selfheal"

AUTO = tuple(
    {"resource_kind": "Instance", "issue_type": issue_type, "auto_heal": True, "max_retries": 3}
    # a service that is down can't be reached either, and a host that boots is busy: the strictest policy governs
    for issue_type in ("service_down", "connection_timeout", "high_cpu", "disk_full")
)

QUICK = {"soak_seconds": 3, "verify_timeout_seconds": 60, "verify_interval_seconds": 1}
"""Seconds for a demo and for tests; the shipped defaults are longer."""


class Healer:
    """One server, with a folder of its own. `port` is fixed first, as Alertmanager must know it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.resolve()
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.config = self.folder / "selfheal.yaml"
        self.webhook_token_file = self._token("webhook.token")
        self.operator_token_file = self._token("operator.token")
        self._processes = ProcessGroup(self.folder / "server", patience=25)
        self._server: subprocess.Popen[bytes] | None = None
        self._environment: Mapping[str, str] = {}

    @property
    def webhook_url(self) -> str:
        return f"{self.url}/webhooks/alertmanager"

    def configure(
        self,
        stage: Stage,
        policies: Sequence[Mapping[str, Any]] = AUTO,
        more_resources: Sequence[Mapping[str, Any]] = (),
        llm: Mapping[str, Any] | None = None,
        **healing: float,
    ) -> None:
        """Write selfheal.yaml and policies.json as an operator would, for the hosts of a stage that is up."""
        (self.folder / "policies.json").write_text(json.dumps(list(policies), indent=2))
        content: dict[str, Any] = {
            "database_url": "sqlite:///selfheal.db",
            "listen": {"host": "127.0.0.1", "port": self.port},
            "prometheus": {"url": stage.prometheus_url},
            "webhook": {"token_file": self.webhook_token_file.name},
            "operator": {"token_file": self.operator_token_file.name},
            # Faults follow each other here: what one cost must not change what is done at the next, nor do they flap.
            "healing": {**QUICK, "demotes": False, **healing},
            "fleet": {"escalation_cool_down_seconds": 0},
            "flapping": {"enabled": False},
            "policies": "policies.json",
            "resources": [*stage.resources(), *map(dict, more_resources)],
        }
        if llm is not None:
            content["llm"] = dict(llm)
        self.config.write_text(yaml.safe_dump(content, sort_keys=False))
        self._environment = stage.environment()

    def start(self, timeout: float = 40.0) -> None:
        """Start `selfheal serve` in the calling thread's network; returns when it is ready to heal."""
        command = [sys.executable, "-m", "server.cli", "serve", "--config", str(self.config)]
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._server = self._processes.start(
            NAME, command, env={**self._environment, "PYTHONPATH": paths}, cwd=self.folder
        )
        wait_until(self._missing, timeout, "selfheal serve is ready", every=0.1)

    @property
    def running(self) -> bool:
        return self._processes.alive(NAME)

    def stop(self) -> None:
        """End the server politely (SIGTERM: it drains), and whatever is left of it."""
        self._processes.stop()

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        assert self._server is not None, "only a server that was started can be killed"
        self._server.kill()
        wait_until(lambda: "alive" if self._processes.alive(NAME) else None, 5, "selfheal serve is dead")

    def client(self) -> ServerClient:
        """With the operator's token."""
        return ServerClient(self.url, self.operator_token_file.read_text().strip())

    def log(self, lines: int = 40) -> str:
        return self._processes.log_tail(NAME, lines)

    def incidents(self) -> list[dict[str, Any]]:
        """All incidents, newest first."""
        with self.client() as client:
            return list(client.incidents()["incidents"])

    def wait_incident(self, holds: Callable[[dict[str, Any]], bool], timeout: float, after: int = 0) -> dict[str, Any]:
        """The whole record of the first incident above number `after` for which this holds. Raises LabError."""
        found: list[dict[str, Any]] = []
        seen = ["no incident yet"]

        def missing() -> str | None:
            try:
                with self.client() as client:
                    for item in client.incidents()["incidents"]:
                        if item["number"] <= after:
                            continue
                        record = client.incident(str(item["number"]))
                        seen[0] = _brief(record)
                        if holds(record):
                            found.append(record)
                            return None
            except ServerUnreachable as error:
                seen[0] = str(error)
            return seen[0]

        wait_until(missing, timeout, "the incident is as expected", every=0.2)
        return found[0]

    def _missing(self) -> str | None:
        if not self._processes.alive(NAME):
            raise LabError(f"selfheal serve ended at once:\n{self.log()}")
        try:
            status, answer = ask(f"{self.url}/readyz")
        except OSError as error:
            return str(error)
        return None if status == 200 else answer[:300]

    def _token(self, name: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
        return path


def _brief(record: Mapping[str, Any]) -> str:
    last = record["timeline"][-1]["sentence"] if record.get("timeline") else ""
    return f"#{record['number']} is {record['phase']} ({(record.get('outcome') or {}).get('status')}): {last}"
