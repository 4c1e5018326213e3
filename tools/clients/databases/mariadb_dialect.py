"""How MariaDB and MySQL say the same thing: what differs by engine and version, in one place.

Statements that change something are chosen by the declared engine alone, as they must be known before anybody is asked:
MariaDB from 10.5, MySQL from 8.0.23. Tried on MariaDB 10.11; the rest is from the manuals, untried.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from graph.resources import Engine

SECRET = "'[redacted]'"
"""Stands for the replication user's password wherever a statement is shown or recorded."""

_SESSIONS = (
    "SELECT p.id, p.user, p.host, p.command, p.state, {seconds} AS seconds, {started} AS started, "
    "SUBSTRING_INDEX(LTRIM(LEFT(p.info, 64)), ' ', 1) AS verb, t.trx_started, t.trx_state, "
    "TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS trx_seconds "
    "FROM information_schema.processlist p "
    "LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id"
)
_VARIABLES = (
    "SELECT VERSION() AS version, @@GLOBAL.read_only AS read_only, @@GLOBAL.max_connections AS connections_max, "
    "@@GLOBAL.log_bin AS log_bin"
)


STARTED: Mapping[Engine, str] = {
    # A query id is used once: a session that has done anything since is another one to us.
    "mariadb": "LEFT(CONCAT('#', p.query_id, ' ', p.host), 40)",
    "mysql": "LEFT(CONCAT(p.user, '@', p.host), 40)",
}

APPLIED = "SELECT @@GLOBAL.gtid_slave_pos AS applied"
"""How far a replica has applied (MariaDB)."""
LOGGED = "SELECT @@GLOBAL.gtid_binlog_pos AS logged"
"""How far a server's own log goes (MariaDB)."""


@dataclass(frozen=True)
class Dialect:
    """What one server is asked."""

    engine: Engine
    version: tuple[int, ...]
    replica_status: str
    sessions: str
    positions: str
    variables: str = _VARIABLES


@dataclass(frozen=True)
class Orders:
    """What a server of one engine is told."""

    start: str
    start_receiver: str
    start_applier: str
    stop: str
    forget_source: str
    change_source: str
    """Takes host, port and user; SECRET stands for the password."""
    writable: str
    read_only: str


ORDERS: Mapping[Engine, Orders] = {
    "mariadb": Orders(
        start="START REPLICA",
        start_receiver="START REPLICA IO_THREAD",
        start_applier="START REPLICA SQL_THREAD",
        stop="STOP REPLICA",
        forget_source="RESET REPLICA ALL",
        change_source=(
            f"CHANGE MASTER TO MASTER_HOST=%s, MASTER_PORT=%s, MASTER_USER=%s, MASTER_PASSWORD={SECRET}, "
            "MASTER_USE_GTID=slave_pos"
        ),
        writable="SET GLOBAL read_only = 0",
        read_only="SET GLOBAL read_only = 1",
    ),
    "mysql": Orders(
        start="START REPLICA",
        start_receiver="START REPLICA IO_THREAD",
        start_applier="START REPLICA SQL_THREAD",
        stop="STOP REPLICA",
        forget_source="RESET REPLICA ALL",
        change_source=(
            f"CHANGE REPLICATION SOURCE TO SOURCE_HOST=%s, SOURCE_PORT=%s, SOURCE_USER=%s, SOURCE_PASSWORD={SECRET}, "
            "SOURCE_AUTO_POSITION=1"
        ),
        writable="SET GLOBAL super_read_only = 0, GLOBAL read_only = 0",
        read_only="SET GLOBAL super_read_only = 1",
    ),
}


def dialect_of(engine: Engine, server_version: str) -> Dialect:
    """How the server that greets with this version is asked. `engine` decides where it does not say."""
    is_mariadb = "mariadb" in server_version.lower() or engine == "mariadb"
    # MariaDB may greet as `5.5.5-10.11.6-MariaDB`, for the sake of old clients
    numbers = re.findall(r"(\d+)\.(\d+)\.(\d+)", server_version.removeprefix("5.5.5-"))
    version = tuple(int(number) for number in numbers[0]) if numbers else ()
    if is_mariadb:
        return Dialect(
            "mariadb",
            version,
            "SHOW REPLICA STATUS" if not version or version >= (10, 5, 1) else "SHOW SLAVE STATUS",
            _SESSIONS.format(seconds="p.time_ms / 1000", started=STARTED["mariadb"]),
            "SELECT @@GLOBAL.gtid_slave_pos AS applied, @@GLOBAL.gtid_binlog_pos AS logged, "
            "@@GLOBAL.server_id AS server_id",
        )
    return Dialect(
        "mysql",
        version,
        "SHOW REPLICA STATUS" if not version or version >= (8, 0, 22) else "SHOW SLAVE STATUS",
        _SESSIONS.format(seconds="p.time", started=STARTED["mysql"]),
        "SELECT @@GLOBAL.gtid_executed AS applied, @@GLOBAL.gtid_executed AS logged, @@GLOBAL.server_id AS server_id",
    )


def too_old(engine: Engine, version: str) -> str | None:
    """Why a server of this version does not understand ORDERS, or None."""
    dialect = dialect_of(engine, version)
    oldest = (10, 5, 1) if dialect.engine == "mariadb" else (8, 0, 23)
    if dialect.engine != engine:
        return f"it is declared as {engine} and is {dialect.engine} {version}"
    if dialect.version and dialect.version < oldest:
        return f"{engine} {version} is older than {'.'.join(map(str, oldest))}: it would not understand what we say"
    return None
