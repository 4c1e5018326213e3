"""A real supervisord with real programs, reached over the local transport."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from graph.records import Resource, ServiceManagerAccess

_PATH = f"{Path(sys.executable).parent}:/usr/bin:/usr/local/bin"

PROGRAMS = """
[program:web]
command=/bin/sleep 1000
autorestart=false
startsecs=0

[program:idle]
command=/bin/sleep 1000
autostart=false
autorestart=false
startsecs=0

[program:bad]
command=/bin/sh -c "echo 'config error in line 3' >&2; exit 2"
autostart=false
startretries=0
"""

_STOPPED = "command=/bin/sleep 1000\nautostart=false\nautorestart=false\nstartsecs=0\n"


@dataclass
class Supervisor:
    """A running supervisord."""

    folder: Path
    ctl_path: str

    def resource(self) -> Resource:
        return Resource(
            id="local-1",
            kind="Instance",
            address="127.0.0.1",
            transport="local",
            services=("web", "idle", "bad", "nope"),
            service_manager=ServiceManagerAccess(
                name="supervisord", config=str(self.folder / "supervisord.conf"), command=self.ctl_path
            ),
        )

    def ctl(self, *words: str) -> str:
        done = subprocess.run(
            [self.ctl_path, "-c", str(self.folder / "supervisord.conf"), *words],
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout

    def pid(self, program: str) -> int:
        return int(self.ctl("pid", program))


@contextlib.contextmanager
def running_supervisord(*stopped: str) -> Iterator[Supervisor]:
    """A running supervisord in a folder of its own, short enough for a socket's name. Skips where there is none.

    `stopped`: more programs, which do not run until they are started."""
    more = "".join(f"[program:{name}]\n{_STOPPED}" for name in stopped)
    daemon, ctl = shutil.which("supervisord", path=_PATH), shutil.which("supervisorctl", path=_PATH)
    if daemon is None or ctl is None:
        pytest.skip("no supervisord here: install the package `supervisor`")
    with tempfile.TemporaryDirectory(prefix="sup") as name:
        folder = Path(name)
        (folder / "supervisord.conf").write_text(
            f"[unix_http_server]\nfile={folder}/s\n[supervisord]\nnodaemon=true\nlogfile={folder}/log\n"
            f"pidfile={folder}/pid\nchildlogdir={folder}\n[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{folder}/s\n{PROGRAMS}{more}"
        )
        process = subprocess.Popen(
            [daemon, "-c", str(folder / "supervisord.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        supervisor = Supervisor(folder, ctl)
        try:
            _await_running(supervisor)
            yield supervisor
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=5)


def _await_running(supervisor: Supervisor) -> None:
    for _ in range(100):
        if "RUNNING" in supervisor.ctl("status", "web"):
            return
        time.sleep(0.05)
    pytest.fail(f"supervisord did not come up: {supervisor.ctl('status')}")
