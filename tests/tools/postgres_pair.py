"""A real PostgreSQL primary and its streaming replica on loopback ports, for tests; run as a user without privileges.

PostgreSQL refuses to run as root, so root runs it as `postgres`. Each test session has its own pair.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from evals.postgres_server import NoPostgres, as_owner, bin_folder, other_owner
from graph.records import Resource
from graph.resources import Database, Replication
from tests.tools.sshd import free_port

PASSWORD = "s3cret-of-the-pair"
SLOT = "rep1"


@dataclass
class Server:
    """One server of the pair, with its files in `data`."""

    data: Path
    port: int

    def sql(self, statement: str, check: bool = True) -> str:
        """What psql prints for it, as superuser. Not through the product."""
        command = [
            "psql",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-Atqc",
            statement,
        ]
        done = as_postgres(command, check=check)
        return done.stdout.strip()

    def start(self) -> None:
        log = self.data.with_suffix(".log")
        as_postgres([str(_bin() / "pg_ctl"), "-D", str(self.data), "-l", str(log), "-w", "-t", "30", "start"])

    def stop(self, mode: str = "fast") -> None:
        command = [str(_bin() / "pg_ctl"), "-D", str(self.data), "-m", mode, "-w", "-t", "20", "stop"]
        as_postgres(command, check=False)


@dataclass
class Pair:
    """The pair and how our resources name it."""

    folder: Path
    primary: Server
    replica: Server

    def resource(self, name: str) -> Resource:
        """`db-1` is the primary, `db-2` the replica."""
        server, role = (self.primary, "primary") if name == "db-1" else (self.replica, "replica")
        return Resource(
            id=name,
            kind="Database",
            address="127.0.0.1",
            transport="local",
            services=("postgresql",),
            database=Database.model_validate(
                {
                    "engine": "postgresql",
                    "cluster": "orders",
                    "role": role,
                    "port": server.port,
                    "password_file": str(self.folder / "password"),
                    "peers": ("db-2",) if name == "db-1" else ("db-1",),
                    "data_dir": str(server.data),
                    "os_user": owner(),
                    "replication": Replication(
                        user="replicator", password_file=str(self.folder / "password"), slot=SLOT
                    ),
                    "max_lag_seconds": 5,
                }
            ),
        )

    @property
    def inventory(self) -> dict[str, Resource]:
        return {f"Database/{name}": self.resource(name) for name in ("db-1", "db-2")}

    def load(self, rows: int = 2000) -> None:
        self.primary.sql(f"insert into t select generate_series(1, {rows})")

    def caught_up(self, seconds: float = 15.0) -> bool:
        """Whether the replica shows what the primary has, within this time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            count = self.primary.sql("select count(*) from t")
            if self.replica.sql("select count(*) from t", check=False) == count:
                return True
            time.sleep(0.1)
        return False


def owner() -> str:
    """Who runs the servers."""
    other = other_owner()
    return other.pw_name if other is not None else pwd.getpwuid(os.getuid()).pw_name


def as_postgres(command: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run it as who owns the servers."""
    return as_owner(command, check=check, PGPASSWORD=PASSWORD)


def _bin() -> Path:
    try:
        other_owner()
        return bin_folder()
    except NoPostgres as error:
        pytest.skip(str(error))


@contextmanager
def running_pair() -> Iterator[Pair]:
    """Both up and in step, in a folder of their own: those of pytest are closed to other users, and are closed anew by
    every run that begins beside this one. Skips where there is no PostgreSQL to run."""
    _bin()
    with tempfile.TemporaryDirectory(prefix="selfheal-postgres-", ignore_cleanup_errors=True) as above:
        Path(above).chmod(0o711)
        yield from _pair_in(Path(above) / "pair")


def _pair_in(folder: Path) -> Iterator[Pair]:
    if (account := other_owner()) is not None:
        folder.mkdir()
        os.chown(folder, account.pw_uid, account.pw_gid)
    folder.mkdir(exist_ok=True)
    pair = Pair(folder, Server(folder / "pri", free_port()), Server(folder / "rep", free_port()))
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "password").chmod(0o644)
    try:
        make_primary(pair.primary, folder)
        make_replica(pair)
        yield pair
    finally:
        for server in (pair.replica, pair.primary):
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def make_primary(server: Server, folder: Path) -> None:
    """A new, running primary with a table, the healer's user, the replicas' user and a slot."""
    as_postgres([str(_bin() / "initdb"), "-D", str(server.data), "-A", "scram-sha-256", "-U", "postgres", "-N",
                 f"--pwfile={folder / 'password'}"])  # fmt: skip
    settings = (
        f"listen_addresses='127.0.0.1'\nport={server.port}\nunix_socket_directories=''\nfsync=off\n"
        "wal_keep_size=0\nmax_wal_size=64MB\nmin_wal_size=32MB\nmax_connections=12\nwal_receiver_status_interval=1\n"
        "wal_retrieve_retry_interval=500ms\nmax_slot_wal_keep_size=-1\n"
    )
    with (server.data / "postgresql.conf").open("a") as file:
        file.write(settings)
    server.start()
    for statement in (
        f"create role selfheal superuser login password '{PASSWORD}'",
        f"create role replicator replication login password '{PASSWORD}'",
        "create table t (i int)",
        f"select pg_create_physical_replication_slot('{SLOT}')",
    ):
        server.sql(statement)


def make_replica(pair: Pair) -> None:
    """A new, running replica of the pair's primary."""
    shutil.rmtree(pair.replica.data, ignore_errors=True)
    as_postgres(
        [str(_bin() / "pg_basebackup"), "-D", str(pair.replica.data), "-R", "-S", SLOT, "-X", "stream", "-c", "fast",
         "-d", f"host=127.0.0.1 port={pair.primary.port} user=replicator application_name=db-2"]
    )  # fmt: skip
    with (pair.replica.data / "postgresql.conf").open("a") as file:
        file.write(f"port={pair.replica.port}\n")
    pair.replica.start()
