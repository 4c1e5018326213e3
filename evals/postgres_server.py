"""A real PostgreSQL server of one's own on a loopback port: for what is tried on the store that processes share.

PostgreSQL refuses to run as root, so root runs it as `postgres`.
"""

from __future__ import annotations

import itertools
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from evals.lab.probing import free_port

_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
BIN = next((folder for folder in _FOLDERS if (folder / "initdb").exists()), None)
USER = "postgres"
SECONDS = 60


class NoPostgres(Exception):
    """There is no PostgreSQL to run here; the message says what would help."""


@dataclass
class PostgresServer:
    """One server; it takes any number of databases. `durable`: as in production, else without fsync, as tests want."""

    data: Path
    port: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self) -> None:
        """Returns when it answers."""
        _run("pg_ctl", "-D", str(self.data), "-l", f"{self.data}.log", "-w", "-t", str(SECONDS), "start")

    def stop(self, mode: str = "fast") -> None:
        _run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "-t", str(SECONDS), "stop", check=False)

    def restart(self) -> None:
        self.stop("immediate")
        self.start()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"t{next(self._numbers)}_{secrets.token_hex(3)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" STRATEGY file_copy')
        return self.url(name)


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Up, empty, and gone afterwards. Raises NoPostgres."""
    bin_folder()
    with tempfile.TemporaryDirectory(prefix="selfheal-store-", ignore_cleanup_errors=True) as above:
        folder = Path(above)
        folder.chmod(0o711)
        if (account := other_owner()) is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        server = PostgresServer(folder / "data", free_port())
        _run("initdb", "-D", str(server.data), "-A", "trust", "-U", USER, "-N", "-E", "UTF8", "--locale=C.UTF-8")
        settings = [
            "listen_addresses='127.0.0.1'", f"port={server.port}", "unix_socket_directories=''", "max_connections=200",
            "shared_buffers=64MB", "max_wal_size=256MB",
            *([] if durable else ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]),
        ]  # fmt: skip
        with (server.data / "postgresql.conf").open("a") as file:
            file.write("\n".join(settings) + "\n")
        try:
            server.start()
            yield server
        finally:
            server.stop("immediate")
            shutil.rmtree(server.data, ignore_errors=True)


def bin_folder() -> Path:
    """Where the server's programs are. Raises NoPostgres."""
    if BIN is None:
        raise NoPostgres("no PostgreSQL server here: install postgresql")
    return BIN


def other_owner() -> pwd.struct_passwd | None:
    """Who runs the server, where that is not who we are. Raises NoPostgres."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise NoPostgres("root needs a user `postgres` to run PostgreSQL as: install postgresql") from None


def as_owner(command: list[str], *, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it as who owns the server. Raises RuntimeError with what was printed, where it fails and `check` says so."""
    if other_owner() is not None:
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
    # To files: the server that pg_ctl leaves behind keeps our pipes open.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=2 * SECONDS, cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "HOME": "/", "LC_ALL": "C", **environment},
            start_new_session=True,
        )  # fmt: skip
        out.seek(0)
        err.seek(0)
        told = subprocess.CompletedProcess(command, done.returncode, out.read(), err.read())
    if check and told.returncode:
        raise RuntimeError(f"{command[:8]} ended with {told.returncode}: {(told.stdout + told.stderr)[-2000:]}")
    return told


def _run(program: str, *arguments: str, check: bool = True) -> None:
    as_owner([str(bin_folder() / program), *arguments], check=check)
