"""A real supervisord with a real service under it: the service manager of hosts that have no systemd.

Used by the local setting. Product code reaches it as it would reach any supervisord: supervisorctl with the path of the
configuration.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from pathlib import Path

import supervisor

from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError

SOCKET_PATH_LIMIT = 80
"""Bytes. The kernel allows 107, of which supervisord needs some for the name it links the socket from."""


class Supervised:
    """One service under a supervisord of its own, its files in `work`.

    `start_retries` is how often a start that fails within the first second is tried again before the service is
    given up as FATAL.
    """

    def __init__(self, work: Path, service: str, command: list[str], start_retries: int = 1) -> None:
        self.config = work / "supervisord.conf"
        self.control = work / "bin" / "supervisorctl"
        self.log = work / f"{service}.out"
        self._work = work
        self._service = service
        self._command = command
        self._start_retries = start_retries
        self._socket = work / "supervisor.sock"
        if len(os.fsencode(self._socket)) > SOCKET_PATH_LIMIT:
            name = hashlib.sha256(os.fsencode(work)).hexdigest()[:12]
            self._socket = Path(f"/tmp/selfheal-lab-{os.getuid()}-{name}") / "supervisor.sock"

    def start(self, processes: ProcessGroup) -> None:
        """Start supervisord, which starts the service. Raises LabError."""
        for text in (str(self._work), *self._command):
            if "%" in text:
                # its escape, which it undoes a different number of times for each setting
                raise LabError(f"supervisord can't be given a path or command with a % in it: {text}")
        self.control.parent.mkdir(parents=True, exist_ok=True)
        if self._socket.parent != self._work:
            # mode 0700 and a refusal of what is already there: the name can be guessed
            self.remove()
            self._socket.parent.mkdir(mode=0o700)
        self.config.write_text(self._render())
        packages = str(Path(supervisor.__file__).resolve().parent.parent)
        self.control.write_text(
            f"#!/bin/sh\nPYTHONPATH={shlex.quote(packages)} exec {shlex.quote(sys.executable)} "
            f'-m supervisor.supervisorctl "$@"\n'
        )
        self.control.chmod(0o755)
        processes.start(
            "supervisord",
            [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(self.config)],
            env={"PYTHONPATH": packages},
        )

    def remove(self) -> None:
        """Remove what lies outside the work folder. Idempotent."""
        if self._socket.parent != self._work and self._socket.parent.is_dir():
            for left in self._socket.parent.iterdir():
                left.unlink()
            self._socket.parent.rmdir()

    def _render(self) -> str:
        # without this, root is warned in the log at each start
        user = "user=root\n" if os.getuid() == 0 else ""
        return f"""[unix_http_server]
file={self._socket}
chmod=0700

[supervisord]
{user}logfile={self._work}/supervisord.out
pidfile={self._work}/supervisord.pid
childlogdir={self._work}
nodaemon=true
minfds=256
minprocs=50

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{self._socket}

[program:{self._service}]
command={shlex.join(self._command)}
autostart=true
autorestart=unexpected
startsecs=1
startretries={self._start_retries}
exitcodes=0
stopwaitsecs=3
redirect_stderr=true
stdout_logfile={self.log}
stdout_logfile_maxbytes=4MB
stdout_logfile_backups=1
"""
