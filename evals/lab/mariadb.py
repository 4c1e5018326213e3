"""The lab's MariaDB pair: what its hosts have beyond the base image, how it is set up, declared and watched.

`set_up` works on hosts that are up and have PACKAGES; the stage and its hosts are the caller's.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evals.lab.faults.on_host import tell
from evals.lab.probing import wait_until
from evals.lab.stage import Stage, StageHost
from graph.records import Resource, SshAccess
from graph.resources import Database
from tools.mariadb_sudoers import mariadb_sudoers

PACKAGES = ("mariadb-server", "mariadb-client", "prometheus-mysqld-exporter")
EXPORTER_PORT = 9104
PORT = 3306
DATA = "/var/lib/mysql"
UNIT = "mariadb"
CLUSTER = "shop"

HEALER_PASSWORD = "lab-of-the-healer"
REPLICATION_PASSWORD = "lab-of-the-replicas"
EXPORTER_PASSWORD = "lab-of-the-exporter"

GRANTS = (
    # the least that the healer needs: it reads no data
    ("selfheal", HEALER_PASSWORD, "REPLICATION SLAVE ADMIN, REPLICA MONITOR, BINLOG MONITOR, PROCESS, "
     "CONNECTION ADMIN, READ_ONLY ADMIN, RELOAD"),
    # a rebuild copies everything as this user
    ("replicator", REPLICATION_PASSWORD, "REPLICATION SLAVE, REPLICATION CLIENT, SELECT, RELOAD, LOCK TABLES, "
     "SHOW VIEW, TRIGGER, EVENT"),
    ("exporter", EXPORTER_PASSWORD, "PROCESS, REPLICA MONITOR, SLAVE MONITOR, CONNECTION ADMIN"),
)  # fmt: skip


def files(number: int, user: str) -> Mapping[str, str]:
    """Path below / → content, for the first (primary) or second (replica) server. `user` is who heals by SSH."""
    settings = [
        "[mysqld]", "bind-address=0.0.0.0", f"server-id={number}", "log-bin=bin", "relay-log=relay",
        "log-slave-updates=1", "skip-name-resolve", "performance-schema=0",
        # small and quick, as the host is; a dead connection is noticed soon
        "innodb-log-file-size=4M", "innodb-buffer-pool-size=24M", "slave-net-timeout=6",
        *(("read-only=1",) if number > 1 else ()),
    ]  # fmt: skip
    allowed = [f"{user} ALL={line}" for line in mariadb_sudoers(_declared(user))]
    return {
        "etc/mysql/mariadb.conf.d/60-lab.cnf": "\n".join(settings) + "\n",
        "etc/default/prometheus-mysqld-exporter": (
            f'DATA_SOURCE_NAME="exporter:{EXPORTER_PASSWORD}@(127.0.0.1:{PORT})/"\n'
            f'ARGS="--web.listen-address=:{EXPORTER_PORT}"\n'
        ),
        "etc/sudoers.d/selfheal-mariadb": "\n".join(allowed) + "\n",
    }


MODES = {"etc/sudoers.d/selfheal-mariadb": 0o440}


def set_up(stage: Stage, primary: StageHost, replica: StageHost) -> None:
    """New servers with new data on both hosts, the second following the first. Raises LabError."""
    for host in (primary, replica):
        tell(stage, host, f"systemctl stop {UNIT}; find {DATA} -mindepth 1 -delete; systemctl daemon-reload")
        tell(stage, host, "mariadb-install-db --user=mysql --skip-test-db --auth-root-authentication-method=socket "
                          ">/dev/null", timeout=60)  # fmt: skip
        tell(stage, host, f"systemctl enable --quiet {UNIT}; systemctl start {UNIT}", timeout=60)
    users = [f"CREATE USER {name}@'%' IDENTIFIED BY '{password}'" for name, password, _ in GRANTS]
    grants = [f"GRANT {rights} ON *.* TO {name}@'%'" for name, _, rights in GRANTS]
    _sql(stage, primary, *users, *grants, "CREATE DATABASE shop",
         "CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(50))",
         "INSERT INTO shop.orders (what) VALUES ('bread'), ('rye')")  # fmt: skip
    _sql(stage, replica, change_source(primary), "START REPLICA")
    wait_until(lambda: _lacking(stage, replica), 20, "the replica follows", every=0.2)
    for host in (primary, replica):
        tell(stage, host, "systemctl restart prometheus-mysqld-exporter")


def change_source(primary: StageHost) -> str:
    """The statement by which a replica is told whom to follow, and how."""
    return (
        f"CHANGE MASTER TO MASTER_HOST='{primary.address}', MASTER_USER='replicator', "
        f"MASTER_PASSWORD='{REPLICATION_PASSWORD}', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos"
    )


def resource(host: StageHost, role: str, name: str, peer: str, ssh: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The server on that host as an entry of selfheal.yaml; its passwords are written to files in `folder`."""
    for file, password in (("my-healer", HEALER_PASSWORD), ("my-replicas", REPLICATION_PASSWORD)):
        path = folder / file
        path.touch(mode=0o600)
        path.write_text(password)
    return {
        "id": name,
        "kind": "Database",
        "group": "databases",
        "address": host.address,
        "host": host.resource_id,
        "ssh": dict(ssh),
        "services": [UNIT],
        # no tcp check: after a failover it would ask the one that was lost
        "health": [{"service": UNIT}],
        "database": {
            "engine": "mariadb",
            "cluster": CLUSTER,
            "role": role,
            "port": PORT,
            "password_file": str(folder / "my-healer"),
            "peers": [peer],
            "data_dir": DATA,
            "os_user": "mysql",
            "replication": {"user": "replicator", "password_file": str(folder / "my-replicas")},
            "max_lag_seconds": 5,
        },
    }


def scrape(members: Mapping[str, tuple[StageHost, str]]) -> dict[str, Any]:
    """The job of Prometheus that watches them: resource id → host and role."""
    return {
        "job_name": "mariadb",
        "static_configs": [
            {
                "targets": [f"{host.address}:{EXPORTER_PORT}"],
                "labels": {"resource_kind": "Database", "resource_id": name, "cluster": CLUSTER, "role": role},
            }
            for name, (host, role) in members.items()
        ],
    }


def _sql(stage: Stage, host: StageHost, *statements: str) -> str:
    return tell(stage, host, f"mariadb -N -B -e {shlex.quote('; '.join(statements))}").stdout.strip()


def _lacking(stage: Stage, replica: StageHost) -> str | None:
    found = _sql(stage, replica, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'shop'")
    return None if found == "1" else "it has no orders yet"


def _declared(user: str) -> Resource:
    """A resource like those of the pair, as far as sudoers asks."""
    database = Database(engine="mariadb", cluster=CLUSTER, role="replica", port=PORT, data_dir=DATA, os_user="mysql")
    access = SshAccess(user=user, key_file="any", known_hosts="any")
    return Resource(id="any", kind="Database", address="127.0.0.1", ssh=access, services=(UNIT,), database=database)
