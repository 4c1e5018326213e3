"""A PostgreSQL server of its own for as long as a block lasts, on a loopback port, in a folder that goes with it.

PostgreSQL refuses to run as root, so root runs it as `postgres`.
"""

from __future__ import annotations

import os
import pwd
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evals.lab.probing import free_port
from evals.lab.stage import LabError

_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
BIN = next((folder for folder in _FOLDERS if (folder / "initdb").exists()), None)


def postgres_missing() -> str | None:
    """Why none can be run here, or None."""
    if BIN is None:
        return "no PostgreSQL server here: sudo apt-get install -y postgresql"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "root needs a user `postgres` to run PostgreSQL as"
    return None


@contextmanager
def temporary_postgres() -> Iterator[str]:
    """The URL of a new database. Durable as it ships: `fsync` is on."""
    assert BIN is not None, "ask `postgres_missing` first"
    with tempfile.TemporaryDirectory(prefix="selfheal-postgres-", ignore_cleanup_errors=True) as above:
        folder, port, password = Path(above), free_port(), secrets.token_hex(16)
        folder.chmod(0o711)
        data = folder / "data"
        data.mkdir()
        secret = folder / "password"
        secret.write_text(password + "\n")
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            for path in (data, secret):
                os.chown(path, account.pw_uid, account.pw_gid)
        _run([str(BIN / "initdb"), "-D", str(data), "-A", "scram-sha-256", "-U", "postgres", f"--pwfile={secret}"])
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses='127.0.0.1'\nport={port}\nunix_socket_directories=''\nmax_connections=200\n")
        _run([str(BIN / "pg_ctl"), "-D", str(data), "-l", str(data / "log"), "-w", "-t", "30", "start"])
        try:
            yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        finally:
            _run([str(BIN / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "-t", "20", "stop"], check=False)


def _run(command: list[str], check: bool = True) -> None:
    """As who owns the server. Its words go nowhere: pg_ctl leaves the server behind with whatever it was given."""
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": "/tmp", "LC_ALL": "C"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
        cwd="/tmp", timeout=90, check=False,
    )  # fmt: skip
    if check and done.returncode:
        raise LabError(f"{' '.join(command[-8:])} ended with {done.returncode}")
