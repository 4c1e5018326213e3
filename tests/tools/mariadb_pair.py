"""A real MariaDB primary and its replica on loopback ports, for tests; run as whoever runs the tests.

The servers' files are made once and copied, so that a pair is up in about a second. They ask for no kernel AIO: a
machine gives only so much of it, and servers that are tried side by side take it from each other.
"""

from __future__ import annotations

import atexit
import fcntl
import getpass
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pymysql
import pytest
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from graph.records import Resource
from graph.resources import Database, Replication
from tests.tools.sshd import free_port

_SERVERS = "/usr/sbin:/usr/local/sbin"
SERVER = shutil.which("mariadbd") or shutil.which("mariadbd", path=_SERVERS)
INSTALL = shutil.which("mariadb-install-db") or shutil.which("mariadb-install-db", path=_SERVERS)
PASSWORD = "s3cret-of-the-pair"
CONNECTIONS = 12
OPTIONS = (
    "--log-bin=bin", "--log-slave-updates=1", "--skip-name-resolve", "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--relay-log=relay",
    "--slave-net-timeout=4", "--bind-address=127.0.0.1", f"--max-connections={CONNECTIONS}", "--key-buffer-size=1M",
    "--innodb-lock-wait-timeout=20", "--innodb-use-native-aio=0",
)  # fmt: skip


@dataclass
class Server:
    """One server of the pair, with its files in `data`."""

    data: Path
    port: int
    number: int
    process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Returns when it answers."""
        assert SERVER is not None
        log = self.data.with_suffix(".log").open("ab")
        read_only = ("--read-only=1",) if self.number == 2 else ()
        self.process = subprocess.Popen(
            [SERVER, "--no-defaults", f"--user={getpass.getuser()}", f"--datadir={self.data}", f"--port={self.port}",
             f"--socket={self.socket}", f"--pid-file={self.data}/pid", f"--server-id={self.number}", *OPTIONS,
             *read_only, *options],
            stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        for _ in range(300):
            if self.process.poll() is not None:
                break
            try:
                self.connect().close()
                return
            except pymysql.err.OperationalError:
                time.sleep(0.05)
        raise RuntimeError(f"mariadbd did not start: {self.data.with_suffix('.log').read_text()[-1500:]}")

    def stop(self) -> None:
        """At once, as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=20)
            self.process = None

    @property
    def socket(self) -> str:
        # a socket's path may have 107 characters
        return f"/tmp/selfheal-{self.port}.sock"

    def connect(self) -> Connection[DictCursor]:
        """As root by the socket, around the product."""
        return Connection(
            unix_socket=self.socket, user="root", cursorclass=DictCursor, autocommit=True, read_timeout=20
        )

    def sql(self, *statements: str) -> list[Mapping[str, object]]:
        """Run them; what the last one gives."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()

    @contextmanager
    def session(self, *statements: str) -> Iterator[Connection[DictCursor]]:
        """A session that has said this and then stays, silent. It may be killed meanwhile."""
        connection = Connection(
            host="127.0.0.1", port=self.port, user="app", password=PASSWORD, autocommit=None, read_timeout=20,
            cursorclass=DictCursor,
        )  # fmt: skip
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            yield connection
        finally:
            if connection.open:
                connection._force_close()  # type: ignore[attr-defined]


@dataclass
class Pair:
    """The pair and how our resources name it."""

    folder: Path
    primary: Server
    replica: Server

    def resource(self, name: str, **changes: object) -> Resource:
        """`db-1` is the primary, `db-2` the replica."""
        server, role = (self.primary, "primary") if name == "db-1" else (self.replica, "replica")
        password = str(self.folder / "password")
        values: dict[str, object] = {
            "engine": "mariadb",
            "cluster": "orders",
            "role": role,
            "port": server.port,
            "password_file": password,
            "peers": ("db-2",) if name == "db-1" else ("db-1",),
            "data_dir": str(server.data),
            "os_user": getpass.getuser(),
            "replication": Replication(user="replicator", password_file=password),
            "max_lag_seconds": 2,
        }
        return Resource(
            id=name,
            kind="Database",
            address="127.0.0.1",
            transport="local",
            services=("mariadb",),
            database=Database.model_validate(values | changes),
        )

    @property
    def inventory(self) -> dict[str, Resource]:
        return {f"Database/{name}": self.resource(name) for name in ("db-1", "db-2")}

    def follow(self) -> None:
        """The replica follows the primary, as it should."""
        self.replica.sql(
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={self.primary.port}, MASTER_USER='replicator', "
            f"MASTER_PASSWORD='{PASSWORD}', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos",
            "START REPLICA",
        )

    def write(self, rows: int = 1) -> None:
        self.primary.sql(*["INSERT INTO shop.orders (what) VALUES ('bread')"] * rows)

    def caught_up(self, seconds: float = 10.0) -> bool:
        """Whether the replica has what the primary has, within this time. It may not have the table yet."""
        until = time.monotonic() + seconds
        count = "SELECT COUNT(*) AS n, COALESCE(MAX(id), 0) AS last FROM shop.orders"
        while time.monotonic() < until:
            with suppress(pymysql.err.ProgrammingError):
                if self.primary.sql(count) == self.replica.sql(count):
                    return True
            time.sleep(0.05)
        return False


@contextmanager
def running_pair(folder: Path) -> Iterator[Pair]:
    """Both up and in step. Skips where there is no MariaDB to run."""
    if SERVER is None or INSTALL is None:
        pytest.skip("no MariaDB server here: install mariadb-server")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "password").write_text(PASSWORD + "\n")
    pair = Pair(folder, Server(folder / "pri", free_port(), 1), Server(folder / "rep", free_port(), 2))
    make_files(pair.primary.data)
    make_files(pair.replica.data)
    try:
        pair.primary.start()
        pair.replica.start()
        users(pair.primary)
        pair.follow()
        assert pair.caught_up(), "the pair did not get in step"
        yield pair
    finally:
        for server in (pair.replica, pair.primary):
            server.stop()
            Path(server.socket).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def make_files(data: Path) -> None:
    """The files of a new server: made once for a process, by one process at a time, and copied from there on."""
    shutil.copytree(template(), data)


@cache
def template() -> Path:
    """A server's files that no server runs on. Raises RuntimeError with what was printed where they can't be made."""
    assert INSTALL is not None
    folder = Path(tempfile.mkdtemp(prefix="selfheal-mariadb-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with (Path(tempfile.gettempdir()) / f"selfheal-mariadb-{getpass.getuser()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(
            [INSTALL, "--no-defaults", f"--user={getpass.getuser()}", f"--datadir={folder / 'data'}", "--skip-test-db",
             "--auth-root-authentication-method=normal", "--skip-name-resolve", "--innodb-log-file-size=4M",
             "--innodb-use-native-aio=0"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
        )  # fmt: skip
    if made.returncode != 0:
        raise RuntimeError(f"{INSTALL} ended with {made.returncode}:\n{made.stdout[-3000:]}")
    return folder / "data"


def users(primary: Server) -> None:
    """A table, the healer's user with what it needs and no more, the replicas' user, and an application's."""
    primary.sql(
        f"CREATE USER selfheal@'%' IDENTIFIED BY '{PASSWORD}'",
        "GRANT REPLICATION SLAVE ADMIN, REPLICA MONITOR, BINLOG MONITOR, PROCESS, CONNECTION ADMIN, READ_ONLY ADMIN, "
        "RELOAD ON *.* TO selfheal@'%'",
        f"CREATE USER replicator@'%' IDENTIFIED BY '{PASSWORD}'",
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO replicator@'%'",
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(50))",
        f"CREATE USER app@'%' IDENTIFIED BY '{PASSWORD}'",
        "GRANT ALL ON shop.* TO app@'%'",
    )
