"""Where it happens: a real stage whose service can be stopped, and real servers and workers on either database."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import yaml

from evals.chaos.points import AT_VARIABLE, TRACE_VARIABLE, How, Point
from evals.lab.faults import fault
from evals.lab.healer import AUTO, ROOT
from evals.lab.local import LocalStage
from evals.lab.probing import ask, free_port, wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError, StageOptions
from evals.postgres_server import PostgresServer
from server.client import ServerClient, ServerRefused, ServerUnreachable

Database = Literal["sqlite", "postgresql"]

FAULT = "service_stopped"
SECONDS = 60.0
ENDED_SECONDS = 180.0
"""Who finds a side effect begun waits out its deadline before it judges: a minute for a restart."""
ENDED = ("closed", "escalated", "declined")


class Ground:
    """A stage, and processes of ours on a database. One fault and its heal at a time."""

    def __init__(self, folder: Path, stage: LocalStage, port: int, postgres: PostgresServer | None) -> None:
        self.folder = folder
        self.stage = stage
        self.port = port
        self._postgres = postgres
        self._processes = ProcessGroup(folder / "processes", patience=25)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.database: Database = "sqlite"

    # -- processes ---------------------------------------------------------------------------------------

    def fresh(self, database: Database, **more: Any) -> None:
        """Configure for a new, empty database. What ran must have been stopped."""
        self.database = database
        if database == "postgresql":
            assert self._postgres is not None, "there is no PostgreSQL on this ground"
            url = self._postgres.new_database()
        else:
            url = f"sqlite:///{self.folder / f'{secrets.token_hex(4)}.db'}"
        content = {
            "database_url": url,
            "listen": {"host": "127.0.0.1", "port": self.port},
            "prometheus": {"url": self.stage.prometheus_url},
            "webhook": {"token_file": str(self.folder / "webhook.token")},
            "operator": {"token_file": str(self.folder / "operator.token")},
            "healing": {"soak_seconds": 1, "verify_timeout_seconds": 60, "verify_interval_seconds": 0.5,
                        "demotes": False, "max_actions_per_hour": 10_000},
            "policies": list(AUTO),
            "resources": self.stage.resources(),
            **more,
        }  # fmt: skip
        (self.folder / "selfheal.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    def start(
        self, name: str, *command: str, at: Point | None = None, how: How = "kill", trace: Path | None = None
    ) -> None:
        """Start `selfheal …` under this name; with `at`, one that dies there."""
        mortal = at is not None or trace is not None
        module = "evals.chaos.mortal" if mortal else "server.cli"
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
        if at is not None:
            environment[AT_VARIABLE] = f"{at.key}:{how}"
        if trace is not None:
            environment[TRACE_VARIABLE] = str(trace)
        argv = [sys.executable, "-m", module, *command, "--config", str(self.folder / "selfheal.yaml")]
        self._running[name] = self._processes.start(name, argv, env=environment, cwd=self.folder)

    def ready(self, name: str = "") -> None:
        """Wait until the web server is ready, and the worker of this name too."""
        wait_until(self._not_ready, SECONDS, "the server is ready", every=0.05)
        if name:
            wait_until(lambda: self._not_healing(name), SECONDS, f"{name} is ready", every=0.05)

    def restart_database(self) -> None:
        """PostgreSQL, as by a crash."""
        assert self._postgres is not None, "there is no PostgreSQL on this ground"
        self._postgres.restart()

    def signal(self, name: str, number: signal.Signals) -> None:
        self._running[name].send_signal(number)

    def dead(self, name: str) -> bool:
        return self._running[name].poll() is not None

    def stopped(self, name: str) -> bool:
        """Whether it stands still by SIGSTOP."""
        with suppress(OSError):
            stat = Path(f"/proc/{self._running[name].pid}/stat").read_text()
            return stat.rpartition(")")[2].split()[0] == "T"
        return False

    def end(self, *names: str) -> None:
        """End these processes politely, or all of them."""
        for name in names or tuple(self._running):
            process = self._running.pop(name, None)
            if process is None:
                continue
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            self._processes.stop_one(name)

    def log(self, name: str, lines: int = 30) -> str:
        return self._processes.log_tail(name, lines)

    def _said(self, name: str, words: str) -> bool:
        return words in self._processes.log_tail(name, 1000)

    def _not_healing(self, name: str) -> str | None:
        if self.dead(name):
            raise LabError(f"{name} ended at once:\n{self.log(name)}")
        return None if self._said(name, "ready to heal as") else self.log(name, 3) or "it has said nothing"

    def _not_ready(self) -> str | None:
        try:
            status, answer = ask(f"http://127.0.0.1:{self.port}/readyz")
        except OSError as error:
            return str(error)
        return None if status == 200 else str(answer)

    # -- the target --------------------------------------------------------------------------------------

    def spawned(self) -> int:
        """How often the service was started, by its manager's own log."""
        log = self.stage.work / "supervisord.out"
        return log.read_text(errors="replace").count("spawned: 'shopd'")

    def strike(self) -> None:
        fault(FAULT).inject(self.stage, self.stage.hosts[0])

    def mend(self) -> None:
        """The service runs again and nobody alerts: ready for the next."""
        fault(FAULT).restore(self.stage, self.stage.hosts[0])
        wait_until(self._alerting, SECONDS, "no alert fires", every=0.2)

    def _alerting(self) -> str | None:
        _, answer = ask(f"{self.stage.prometheus_url}/api/v1/alerts")
        return "an alert fires" if '"state":"' in str(answer).replace(" ", "") else None

    # -- what became of it -------------------------------------------------------------------------------

    def incidents(self) -> list[dict[str, Any]]:
        """Whole records, newest first; none while the server is away."""
        try:
            with ServerClient(f"http://127.0.0.1:{self.port}", self._token()) as client:
                return [client.incident(str(item["number"])) for item in client.incidents()["incidents"]]
        except (ServerUnreachable, ServerRefused):
            return []

    def is_over(self) -> bool:
        """Whether the incident is closed, and nothing more of its heal is to come."""
        found = self.incidents()
        return bool(found) and found[0]["phase"] in ENDED

    def ended(self, seconds: float = ENDED_SECONDS) -> dict[str, Any] | None:
        """The incident once it has its outcome, or None where that does not come."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if (found := self.incidents()) and found[0]["outcome"] and found[0]["phase"] in ENDED:
                return found[0]
            time.sleep(0.1)
        return None

    def _token(self) -> str:
        return (self.folder / "operator.token").read_text().strip()


@contextmanager
def ground(folder: Path, postgres: PostgresServer | None = None) -> Iterator[Ground]:
    """A stage that is up, with nothing of ours running on it yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("webhook.token", "operator.token"):
        (folder / name).write_text(secrets.token_hex(24) + "\n")
        (folder / name).chmod(0o600)
    port = free_port()
    options = StageOptions(
        folder / "stage", f"http://127.0.0.1:{port}/webhooks/alertmanager", folder / "webhook.token",
        group_interval="1s", repeat_interval="2s",
    )  # fmt: skip
    stage = LocalStage(options)
    with ExitStack() as stack:
        stack.callback(stage.down)
        stage.up()
        made = Ground(folder, stage, port, postgres)
        stack.callback(made._processes.stop)
        stack.callback(made.end)
        yield made


__all__ = ["Database", "Ground", "LabError", "ground"]
