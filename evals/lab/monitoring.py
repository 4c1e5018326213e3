"""The real Prometheus and Alertmanager that watch a stage, in either setting.

Both run as plain processes of the calling thread's network namespace, on free loopback ports, with everything they
write under the stage's work folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from evals.lab.probing import ask, free_port, wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.rules import MonitoredHost, alert_rules, alertmanager_config, probe_job, prometheus_config
from evals.lab.stage import LabError, StageOptions
from evals.lab.surroundings import current
from server.alerting import FOLDER

__all__ = ["MonitoredHost", "Monitoring", "find_binary", "has_binary"]


def find_binary(*names: str) -> str:
    """The path of the first of `names` found on PATH or where Debian keeps servers. Raises LabError."""
    for name in names:
        # an ordinary user's PATH lacks the folders of servers such as sshd
        if path := shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin"):
            return path
    raise LabError(f"{' or '.join(names)} is not on PATH")


def has_binary(*names: str) -> bool:
    """Whether `find_binary` would find one."""
    try:
        find_binary(*names)
    except LabError:
        return False
    return True


class Monitoring:
    """Prometheus and Alertmanager over `targets`, set up as `options` say.

    With the default `alert_for`, a condition must hold for two evaluations: enough for the scrapes of a dying host's
    two targets to fail both, so that only InstanceDown fires for it. "0s" alerts one second sooner. `jobs` are scraped
    besides; `probed` maps resource ids to the URL that blackbox_exporter asks. `alerts` names the shipped alerts to
    have, by default all.
    """

    def __init__(self, options: StageOptions, targets: Sequence[MonitoredHost], alert_for: str = "1s",
                 jobs: Sequence[dict[str, Any]] = (), probed: Mapping[str, str] | None = None,
                 alerts: Sequence[str] = ()) -> None:  # fmt: skip
        self.options = options
        self.targets = tuple(targets)
        self.alert_for = alert_for
        self.alerts = tuple(alerts)
        self.jobs = tuple(jobs)
        self.probed = dict(probed or {})
        self.prometheus_url = ""
        self.alertmanager_url = ""
        self.around = current()
        """How alerts are set: a situation may set them otherwise, and `reload`."""
        self._work = options.work.resolve() / "monitoring"
        self._processes = ProcessGroup(self._work)

    def up(self) -> None:
        """Start both servers and return at once; `wait_healthy` waits for them. Raises LabError."""
        prometheus = find_binary("prometheus")
        alertmanager = find_binary("prometheus-alertmanager", "alertmanager")
        prometheus_at, alertmanager_at = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self.prometheus_url, self.alertmanager_url = f"http://{prometheus_at}", f"http://{alertmanager_at}"
        self._work.mkdir(parents=True, exist_ok=True)
        if self.probed:
            self._start_blackbox()
        self._render()
        self._processes.start("alertmanager", [
            alertmanager, f"--config.file={self._work / 'alertmanager.yml'}",
            f"--storage.path={self._work / 'alertmanager'}", f"--web.listen-address={alertmanager_at}",
            # a cluster of one would wait for peers, and would listen on all addresses
            "--cluster.listen-address=", f"--web.external-url={self.alertmanager_url}",
        ])  # fmt: skip
        self._processes.start("prometheus", [
            prometheus, f"--config.file={self._work / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._work / 'tsdb'}", f"--web.listen-address={prometheus_at}",
            # the default is the machine's name, which need not resolve: alerts' generatorURL is made of it
            f"--web.external-url={self.prometheus_url}", "--web.enable-lifecycle", "--log.level=warn",
            # what is sent just after a reload is lost, as Alertmanager is not found again yet
            "--rules.alert.resend-delay=2s",
        ])  # fmt: skip

    def _start_blackbox(self) -> None:
        exporter_at = f"127.0.0.1:{free_port()}"
        self._processes.start("blackbox", [
            find_binary("prometheus-blackbox-exporter", "blackbox_exporter"),
            f"--config.file={FOLDER / 'blackbox.yml'}", f"--web.listen-address={exporter_at}", "--log.level=error",
        ])  # fmt: skip
        self.jobs = (*self.jobs, probe_job(self.probed, exporter_at))

    def down(self) -> None:
        """Stop both servers. Idempotent; also ends those of an earlier run in the same work folder."""
        self._processes.stop()

    def reload(self) -> None:
        """Write the configuration files anew and have both servers read them. Raises LabError with their answer."""
        self._render()
        for name, url in (("Prometheus", self.prometheus_url), ("Alertmanager", self.alertmanager_url)):
            try:
                status, answer = ask(f"{url}/-/reload", timeout=5, method="POST")
            except OSError as error:
                raise LabError(f"asked {name} at {url} to reload, no answer: {error}") from error
            if status != 200:
                raise LabError(f"asked {name} at {url} to reload, answered {status}: {answer.strip()}")

    def wait_healthy(self, timeout: float = 30.0) -> None:
        """Return when both servers are ready, know each other, and every target is scraped healthy.

        Raises LabError naming what is missing, with the log's tail when a server has ended.
        """
        try:
            wait_until(self._missing, timeout, "monitoring of the lab is healthy")
        except LabError as error:
            tails = "\n".join(f"{name}: {tail}" for name in ("prometheus", "alertmanager")
                              if (tail := self._processes.log_tail(name, 5)))  # fmt: skip
            raise LabError(f"{error}\n{tails}") from error

    def _missing(self) -> str | None:
        for name, code in self._processes.ended().items():
            raise LabError(f"{name} ended with exit code {code}: {self._processes.log_tail(name)}")
        try:
            for name, url in (("Alertmanager", self.alertmanager_url), ("Prometheus", self.prometheus_url)):
                status, answer = ask(f"{url}/-/ready")
                if status != 200:
                    return f"{name} at {url} is not ready: {status} {answer.strip()}"
            if not self._prometheus("/api/v1/alertmanagers")["activeAlertmanagers"]:
                return "Prometheus has not found its Alertmanager yet"
            return _unhealthy_target(
                self._prometheus("/api/v1/targets?state=active")["activeTargets"], self._expected()
            )
        except OSError as error:
            return str(error)

    def _expected(self) -> int:
        of_hosts = sum(2 if target.service else 1 for target in self.targets)
        return of_hosts + sum(len(entry["targets"]) for job in self.jobs for entry in job["static_configs"])

    def _prometheus(self, path: str) -> Any:
        status, answer = ask(self.prometheus_url + path)
        if status != 200:
            raise OSError(f"Prometheus answered {status} to {path}: {answer.strip()}")
        return json.loads(answer)["data"]

    def _render(self) -> None:
        alertmanager_at = self.alertmanager_url.removeprefix("http://")
        files = {
            "prometheus.yml": prometheus_config(self.options, self.targets, alertmanager_at, self.jobs),
            "rules.yml": alert_rules(self.alert_for, self.alerts, self.around),
            "alertmanager.yml": alertmanager_config(self.options),
        }
        for name, content in files.items():
            _replace(self._work / name, yaml.safe_dump(content, sort_keys=False))


def _unhealthy_target(active: Sequence[dict[str, Any]], expected: int) -> str | None:
    if len(active) < expected:
        return f"Prometheus has taken up {len(active)} of {expected} targets"
    for target in active:
        if target["health"] != "up":
            return f"target {target['scrapeUrl']} is {target['health']}: {target['lastError'] or 'not scraped yet'}"
    return None


def _replace(path: Path, text: str) -> None:
    # whole or not at all: a reload may read at any moment
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)
