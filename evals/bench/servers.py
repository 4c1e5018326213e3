"""The processes under test: a real `selfheal serve` with a folder of its own, and the ceiling."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

from evals.lab.probing import ask, free_port, wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError

ROOT = Path(__file__).resolve().parents[2]
HOOK = "/webhooks/alertmanager"


class Server:
    """`selfheal serve` on a new database in a folder of its own, with the shipped defaults but for what `settings` say.

    `program` is what is run, `("server.cli",)` being the product as it is.
    """

    def __init__(
        self,
        folder: Path,
        resources: Sequence[Mapping[str, Any]] = (),
        policies: Sequence[Mapping[str, Any]] = (),
        program: str = "server.cli",
        environment: Mapping[str, str] | None = None,
        start: Sequence[str] = ("serve",),
        **settings: Any,
    ) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = self.folder / "selfheal.db"
        self.config = self.folder / "selfheal.yaml"
        self.token = self._token("webhook.token")
        self.operator = self._token("operator.token")
        self.environment = dict(environment or {})
        self.program = program
        self._start = tuple(start)
        self.process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.settings: dict[str, Any] = {
            "listen": {"host": "127.0.0.1", "port": self.port},
            "prometheus": {"url": "http://127.0.0.1:9"},
            **settings,
        }
        (self.folder / "policies.json").write_text(json.dumps(list(policies)))
        content = {**self.settings, "policies": "policies.json", "resources": [dict(item) for item in resources]}
        # JSON is YAML, and is written and read much faster where there are thousands of resources.
        self.config.write_text(json.dumps(content) if len(resources) > 50 else yaml.safe_dump(content, sort_keys=False))
        self.processes = ProcessGroup(self.folder / "processes", patience=25)

    def start(self, ready: bool = True, seconds: float = 60.0) -> subprocess.Popen[bytes]:
        """Start it; with `ready`, return once it is ready to heal."""
        self.process = process = self.run("serve", *self._start)
        self.pid = process.pid
        if ready:
            wait_until(self._missing, seconds, "selfheal serve is ready", every=0.05)
        return process

    def run(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A process of the program with this configuration, known by that name."""
        command = [sys.executable, "-m", self.program, *arguments, "--config", str(self.config)]
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return self.processes.start(name, command, env={**self.environment, "PYTHONPATH": paths}, cwd=self.folder)

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        assert self.process is not None, "only a server that was started can be killed"
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """Politely, then with force."""
        self.processes.stop()

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Asked of the database itself, not through the product."""
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            return connection.execute(statement, values).fetchall()

    def number(self, statement: str, *values: Any) -> int:
        """The one number a query gives."""
        return int(self.query(statement, *values)[0][0] or 0)

    def wait_for(self, statement: str, wanted: int, seconds: float, every: float = 0.1) -> None:
        """Until a query gives at least this number. Raises LabError."""

        def missing() -> str | None:
            found = self.number(statement)
            return None if found >= wanted else f"{found} of {wanted}"

        wait_until(missing, seconds, statement[:120], every=every)

    def _missing(self) -> str | None:
        if ended := self.processes.ended():
            raise LabError(f"selfheal serve ended at once ({ended}):\n{self.processes.log_tail('serve', 40)}")
        try:
            status, answer = ask(f"{self.url}/readyz")
        except OSError as error:
            return str(error)
        return None if status == 200 else answer[:300]

    def _token(self, name: str) -> str:
        token = secrets.token_urlsafe(24)
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(token)
        return token


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server, ready, for as long as the block lasts."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def ceiling(folder: Path) -> Iterator[tuple[str, int]]:
    """The URL of the bare endpoint and its process, for as long as the block lasts."""
    processes = ProcessGroup(folder / "ceiling")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    try:
        command = [sys.executable, "-m", "evals.bench.ceiling", str(port)]
        process = processes.start("ceiling", command, env={"PYTHONPATH": paths})
        wait_until(lambda: _silent(url), 30, "the ceiling answers")
        yield url, process.pid
    finally:
        processes.stop()


def _silent(url: str) -> str | None:
    try:
        status, answer = ask(f"{url}/healthz")
    except OSError as error:
        return str(error)
    return None if status == 200 else answer


def settle(seconds: float) -> None:
    """Let what was just started come to rest."""
    time.sleep(seconds)
