"""How sessions are looked at and ended, engine by engine: guard and act in one statement, so that nothing but the very
session that was meant can be hit.

MySQL has no statement that does both: it is not listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graph.resources import Engine
from tools.clients.databases.mariadb_dialect import STARTED

_MARIADB_CLIENTS = "p.user NOT IN ('system user', 'event_scheduler') AND p.command NOT IN ('Binlog Dump', 'Daemon')"
_MARIADB_IDLE = (
    "FROM information_schema.processlist p JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id "
    f"WHERE p.command = 'Sleep' AND p.time >= %s AND {_MARIADB_CLIENTS}"
)
_POSTGRES_ONE = "from pg_stat_activity where pid = %s and backend_start::text = %s and backend_type = 'client backend'"
_POSTGRES_IDLE = (
    "from pg_stat_activity where state like 'idle in transaction%%' and backend_type = 'client backend' "
    "and extract(epoch from clock_timestamp() - state_change) >= %s and pid <> pg_backend_pid()"
)


@dataclass(frozen=True)
class SessionOrders:
    """`find` and `end` take id and `started` of one session; `end` gives a row `ended` that is true, or no row.
    `count_idle` and `end_idle` take seconds and give a row `n` and a row for each that was ended."""

    find: str
    end: str
    count_idle: str
    end_idle: str


SESSION_ORDERS: Mapping[Engine, SessionOrders] = {
    "postgresql": SessionOrders(
        find=f"select pid as id {_POSTGRES_ONE}",
        end=f"select pid as id, pg_terminate_backend(pid) as ended {_POSTGRES_ONE}",
        count_idle=f"select count(*) as n {_POSTGRES_IDLE}",
        end_idle=f"select pid as id, pg_terminate_backend(pid) as ended {_POSTGRES_IDLE}",
    ),
    "mariadb": SessionOrders(
        find=(
            f"SELECT p.id AS id FROM information_schema.processlist p WHERE p.id = %s AND {STARTED['mariadb']} = %s "
            f"AND {_MARIADB_CLIENTS}"
        ),
        end=(
            "BEGIN NOT ATOMIC FOR s IN (SELECT p.id AS id FROM information_schema.processlist p WHERE p.id = %s "
            f"AND {STARTED['mariadb']} = %s AND {_MARIADB_CLIENTS}) "
            "DO KILL CONNECTION s.id; SELECT s.id AS id, 1 AS ended; END FOR; END"
        ),
        count_idle=f"SELECT COUNT(*) AS n {_MARIADB_IDLE}",
        end_idle=(
            "BEGIN NOT ATOMIC DECLARE ids TEXT DEFAULT ''; DECLARE CONTINUE HANDLER FOR 1094 BEGIN END; "
            f"FOR s IN (SELECT p.id AS id {_MARIADB_IDLE}) DO KILL CONNECTION s.id; SET ids = CONCAT(ids, ' ', s.id); "
            "END FOR; SELECT ids AS id, ids <> '' AS ended; END"
        ),
    ),
}
