"""The lab's PostgreSQL pair: what its hosts have beyond the base image, how it is set up, declared and watched.

`set_up` works on hosts that are up and have PACKAGES; the stage and its hosts are the caller's. The servers run under a
unit of their own: the package's would need its cluster in place before there is one.
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
from tools.postgres_sudoers import postgres_sudoers

PACKAGES = ("postgresql-15", "postgresql-client-15", "prometheus-postgres-exporter")
EXPORTER_PORT = 9187
PORT = 5432
BIN = "/usr/lib/postgresql/15/bin"
HOME = "/var/lib/postgresql"
DATA = f"{HOME}/data"
UNIT = "postgres"
CLUSTER = "orders"
SLOT = "replica_1"
REPLICA_ID = "pg-2"
QUERIES = Path(__file__).resolve().parents[2] / "server" / "alerting" / "postgres_exporter_queries.yml"

HEALER_PASSWORD = "lab-of-the-healer"
REPLICATION_PASSWORD = "lab-of-the-replicas"

SERVER_UNIT = f"""[Unit]
Description=PostgreSQL
After=network.target

[Service]
Type=notify
User=postgres
RuntimeDirectory=postgresql
ExecStart={BIN}/postgres -D {DATA} -c unix_socket_directories=/run/postgresql
KillMode=mixed
KillSignal=SIGINT
TimeoutSec=60

[Install]
WantedBy=multi-user.target
"""

EXPORTER_UNIT = f"""[Unit]
Description=What PostgreSQL tells Prometheus

[Service]
User=postgres
Environment=DATA_SOURCE_NAME="host=/run/postgresql user=postgres dbname=postgres"
ExecStart=/usr/bin/prometheus-postgres-exporter --web.listen-address=:{EXPORTER_PORT} --disable-default-metrics \\
  --disable-settings-metrics --extend.query-path=/etc/postgres_exporter_queries.yml
Restart=always
RestartSec=1
"""

SETTINGS = (
    "listen_addresses = '*'", "wal_keep_size = 0", "max_wal_size = 64MB", "min_wal_size = 32MB",
    "shared_buffers = 16MB", "max_connections = 24", "wal_receiver_status_interval = 1",
    "wal_receiver_timeout = 30s", "wal_retrieve_retry_interval = 1s", "jit = off", "log_line_prefix = ''",
)  # fmt: skip
HBA = "local all all trust\nhost all all all scram-sha-256\nhost replication all all scram-sha-256\n"


def files(user: str) -> Mapping[str, str]:
    """Path below / → content. `user` is who heals by SSH."""
    allowed = [f"{user} ALL={line}" for line in postgres_sudoers(_declared(user))]
    return {
        f"etc/systemd/system/{UNIT}.service": SERVER_UNIT,
        "etc/systemd/system/postgres-exporter.service": EXPORTER_UNIT,
        "etc/postgres_exporter_queries.yml": QUERIES.read_text(),
        "etc/sudoers.d/selfheal-postgres": "\n".join(allowed) + "\n",
    }


MODES = {"etc/sudoers.d/selfheal-postgres": 0o440}


def set_up(stage: Stage, primary: StageHost, replica: StageHost) -> None:
    """New servers with new data on both hosts, the second following the first. Raises LabError."""
    for host in (primary, replica):
        tell(stage, host, f"systemctl daemon-reload; systemctl stop {UNIT}; rm -rf {DATA}*; "
                          f"install -d -o postgres -m 0755 {HOME}", timeout=60)  # fmt: skip
    tell(stage, primary, as_postgres(f"{BIN}/initdb -D {DATA} -A trust -N >/dev/null"), timeout=60)
    settings = "\n".join(SETTINGS)
    configure = f"printf '%s\\n' {shlex.quote(settings)} >>{DATA}/postgresql.conf; "
    configure += f"printf %s {shlex.quote(HBA)} >{DATA}/pg_hba.conf"
    tell(stage, primary, f"{configure}; systemctl start {UNIT}", timeout=60)
    for statement in (
        f"create role selfheal superuser login password '{HEALER_PASSWORD}'",
        f"create role replicator replication login password '{REPLICATION_PASSWORD}'",
        "create table orders (id bigserial primary key, what text)",
        "insert into orders (what) values ('bread'), ('rye')",
        f"select pg_create_physical_replication_slot('{SLOT}')",
    ):
        sql(stage, primary, statement)
    copy(stage, primary, replica)
    for host in (primary, replica):
        tell(stage, host, f"systemctl enable --quiet {UNIT} postgres-exporter; systemctl restart postgres-exporter")


def copy(stage: Stage, primary: StageHost, replica: StageHost) -> None:
    """The second host gets a fresh copy of the first and follows it. Raises LabError."""
    conninfo = f"host={primary.address} port={PORT} user=replicator application_name={REPLICA_ID}"
    conninfo += f" passfile={DATA}.pgpass"
    login = f"{primary.address}:{PORT}:*:replicator:{REPLICATION_PASSWORD}"
    clear = f"systemctl stop {UNIT}; rm -rf {DATA} {DATA}.before {DATA}.rebuilding"
    keep = f"umask 077; echo {shlex.quote(login)} >{DATA}.pgpass; chown postgres {DATA}.pgpass"
    tell(stage, replica, f"{clear}; {keep}", timeout=60)
    made = f"{BIN}/pg_basebackup -w -D {DATA} -d {shlex.quote(conninfo)} -R -S {SLOT} -c fast"
    tell(stage, replica, as_postgres(made), timeout=60)
    tell(stage, replica, f"systemctl start {UNIT}", timeout=60)
    wait_until(lambda: _lacking(stage, replica), 20, "the replica follows", every=0.2)


def sql(stage: Stage, host: StageHost, statement: str, timeout: float = 15.0) -> str:
    """What psql prints for it, asked on the host itself, around the product. Raises LabError."""
    line = f"psql -h /run/postgresql -d postgres -v ON_ERROR_STOP=1 -Atqc {shlex.quote(statement)}"
    return tell(stage, host, as_postgres(f"env PATH=$PATH:{BIN} {line}"), timeout).stdout.strip()


def as_postgres(command: str) -> str:
    """The command as run by who owns the server."""
    return f"cd /tmp; setpriv --reuid=postgres --regid=postgres --init-groups sh -c {shlex.quote(command)}"


def resource(host: StageHost, role: str, name: str, peer: str, ssh: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The server on that host as an entry of selfheal.yaml; its passwords are written to files in `folder`."""
    for file, password in (("pg-healer", HEALER_PASSWORD), ("pg-replicas", REPLICATION_PASSWORD)):
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
        "health": [{"service": UNIT}],
        "database": {
            "engine": "postgresql",
            "cluster": CLUSTER,
            "role": role,
            "port": PORT,
            "password_file": str(folder / "pg-healer"),
            "peers": [peer],
            "data_dir": DATA,
            "os_user": "postgres",
            "replication": {
                "user": "replicator",
                "password_file": str(folder / "pg-replicas"),
                # a primary has none until it is somebody's replica
                **({"slot": SLOT} if role == "replica" else {}),
            },
            "max_lag_seconds": 5,
        },
    }


def scrape(members: Mapping[str, tuple[StageHost, str]]) -> dict[str, Any]:
    """The job of Prometheus that watches them: resource id → host and role."""
    return {
        "job_name": "postgresql",
        "static_configs": [
            {
                "targets": [f"{host.address}:{EXPORTER_PORT}"],
                "labels": {"resource_kind": "Database", "resource_id": name, "cluster": CLUSTER, "role": role},
            }
            for name, (host, role) in members.items()
        ],
    }


def _lacking(stage: Stage, replica: StageHost) -> str | None:
    found = sql(stage, replica, "select count(*) from pg_stat_wal_receiver where status = 'streaming'")
    return None if found == "1" else "it receives nothing yet"


def _declared(user: str) -> Resource:
    """A resource like those of the pair, as far as sudoers asks."""
    database = Database(
        engine="postgresql", cluster=CLUSTER, role="replica", port=PORT, data_dir=DATA, os_user="postgres"
    )
    access = SshAccess(user=user, key_file="any", known_hosts="any")
    return Resource(id="any", kind="Database", address="127.0.0.1", ssh=access, services=(UNIT,), database=database)
