"""Named looks into a database server, engine by engine: fixed statements that read and change nothing.

No statement of a client is shown beyond its first word, as it holds data. Nothing here takes a lock that a session in
trouble could keep us waiting for; what has to is bounded by the time of a statement. PostgreSQL and MariaDB are tried;
MySQL's are from its manual, untried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graph.resources import Engine

MOST_ROWS = 20
_LIMIT = f"limit {MOST_ROWS + 1}"


@dataclass(frozen=True)
class View:
    """`statements` one after the other, each with a name; `empty` is what no rows at all mean. `columns` are those
    shown where a statement can't choose them."""

    statements: tuple[tuple[str, str], ...]
    empty: str
    columns: tuple[str, ...] = ()


_PG_CLIENTS = "backend_type = 'client backend' and pid <> pg_backend_pid()"
_PG_VERB = "lower(substring(query from '[A-Za-z]{1,20}')) as verb"
_PG_LSN = "case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end"

POSTGRESQL: Mapping[str, View] = {
    "sessions": View(
        (
            (
                "sessions",
                "select coalesce(state, 'unknown') as state, wait_event_type as waits_for, wait_event as event, "
                "usename as user, count(*) as n, "
                "round(max(extract(epoch from clock_timestamp() - state_change)))::int as longest_s "
                f"from pg_stat_activity where {_PG_CLIENTS} group by 1, 2, 3, 4 order by n desc {_LIMIT}",
            ),
        ),
        "no client is connected",
    ),
    "transactions": View(
        (
            (
                "open transactions",
                "select pid, usename as user, left(application_name, 40) as app, state, "
                "round(extract(epoch from clock_timestamp() - xact_start))::int as open_s, "
                "round(extract(epoch from clock_timestamp() - state_change))::int as in_state_s, "
                f"wait_event_type as waits_for, {_PG_VERB} "
                f"from pg_stat_activity where {_PG_CLIENTS} and xact_start is not null order by xact_start {_LIMIT}",
            ),
        ),
        "no transaction is open",
    ),
    "locks": View(
        (
            (
                "waits for locks",
                "select a.pid as waiting, a.usename as user, array_to_string(pg_blocking_pids(a.pid), ' ') as held_by, "
                "w.mode, w.relation::regclass::text as relation, "
                "round(extract(epoch from clock_timestamp() - a.state_change))::int as for_s, "
                "lower(substring(a.query from '[A-Za-z]{1,20}')) as verb, b.state as holder_state, "
                "round(extract(epoch from clock_timestamp() - b.xact_start))::int as holder_open_s "
                "from pg_stat_activity a "
                "left join lateral (select mode, relation from pg_locks where pid = a.pid and not granted limit 1) w "
                "on true "
                "left join pg_stat_activity b on b.pid = (pg_blocking_pids(a.pid))[1] "
                f"where a.wait_event_type = 'Lock' order by for_s desc {_LIMIT}",
            ),
        ),
        "nobody waits for a lock",
    ),
    "replication": View(
        (
            (
                "replicas that are connected",
                "select application_name as name, host(client_addr) as address, state, sync_state, "
                f"pg_wal_lsn_diff({_PG_LSN}, sent_lsn)::bigint as unsent_bytes, "
                "pg_wal_lsn_diff(sent_lsn, replay_lsn)::bigint as unreplayed_bytes, "
                f"round(extract(epoch from replay_lag))::int as lag_s from pg_stat_replication {_LIMIT}",
            ),
            (
                "slots",
                "select slot_name as slot, slot_type as type, active, "
                f"pg_wal_lsn_diff({_PG_LSN}, restart_lsn)::bigint as kept_bytes from pg_replication_slots {_LIMIT}",
            ),
            (
                "own receiver",
                "select status, slot_name as slot, "
                "round(extract(epoch from clock_timestamp() - last_msg_receipt_time))::int as heard_s_ago, "
                "pg_is_wal_replay_paused() as paused, "
                "pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint as unreplayed_bytes "
                f"from pg_stat_wal_receiver where pg_is_in_recovery() {_LIMIT}",
            ),
        ),
        "it has no replica, no slot, and follows nobody",
    ),
    "settings": View(
        (
            (
                "settings that differ from the default",
                "select name, left(setting, 80) as value, unit, source from pg_settings "
                "where setting is distinct from boot_val "
                "and source not in ('default', 'override', 'client', 'session') "
                "and name !~ '(conninfo|passw|passphrase|_command$|key_file|cert_file)' "
                f"order by (unit is null), name {_LIMIT}",
            ),
        ),
        "all settings are the default",
    ),
    "tables": View(
        (
            (
                "biggest tables (by the last vacuum or analyze)",
                "select c.oid::regclass::text as name, c.relkind as kind, "
                "(c.relpages::bigint * current_setting('block_size')::bigint) as bytes, "
                "s.n_live_tup as live, s.n_dead_tup as dead, s.last_autovacuum::timestamp(0)::text as autovacuum, "
                "s.seq_scan as seq_scans "
                "from pg_class c left join pg_stat_all_tables s on s.relid = c.oid "
                f"where c.relkind in ('r', 'm', 'i', 't') order by c.relpages desc, name {_LIMIT}",
            ),
        ),
        "there are no tables",
    ),
    "databases": View(
        (
            (
                "databases since their counters began",
                "select datname as name, numbackends as clients, xact_commit as commits, xact_rollback as rollbacks, "
                "deadlocks, conflicts, temp_bytes, blks_read, blks_hit from pg_stat_database "
                f"where datname is not null order by numbackends desc, name {_LIMIT}",
            ),
        ),
        "there are no databases",
    ),
}

_MY_CLIENTS = "p.user NOT IN ('system user', 'event_scheduler') AND p.id <> CONNECTION_ID()"
_MY_VERB = "LOWER(SUBSTRING_INDEX(LTRIM(LEFT({info}, 64)), ' ', 1)) AS verb"
_MY_SESSIONS = (
    "SELECT p.command, p.state, p.user, COUNT(*) AS n, MAX(p.time) AS longest_s FROM information_schema.processlist p "
    f"WHERE {_MY_CLIENTS} GROUP BY p.command, p.state, p.user ORDER BY n DESC {_LIMIT.upper()}"
)
_MY_TRANSACTIONS = (
    "SELECT t.trx_mysql_thread_id AS id, p.user, p.command, t.trx_state AS state, "
    "TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS open_s, t.trx_rows_locked AS rows_locked, "
    f"t.trx_rows_modified AS rows_modified, {_MY_VERB.format(info='p.info')} FROM information_schema.innodb_trx t "
    f"LEFT JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id "
    f"ORDER BY t.trx_started {_LIMIT.upper()}"
)
_MY_TABLES = (
    # Not information_schema.tables: it opens the tables, and shows only those whose rows the user may read.
    "SELECT name, file_size AS bytes, allocated_size AS allocated_bytes, row_format AS format "
    f"FROM information_schema.{{tablespaces}} WHERE name <> 'mysql' ORDER BY file_size DESC, name {_LIMIT.upper()}"
)
_NO_SECRETS = "NOT REGEXP '(password|secret|_key$|ssl_)'"
_MY_REPLICA_COLUMNS = (
    "Master_Host", "Master_Port", "Slave_IO_Running", "Slave_SQL_Running", "Seconds_Behind_Master", "Last_IO_Errno",
    "Last_IO_Error", "Last_SQL_Errno", "Last_SQL_Error", "Slave_SQL_Running_State",
)  # fmt: skip


def _bounded(statement: str) -> str:
    """Ends by itself on the server too (MariaDB)."""
    return f"SET STATEMENT max_statement_time=4 FOR {statement}"


def _of_mysql(locks: str, settings: str, tablespaces: str, timed: bool) -> Mapping[str, View]:
    """`timed`: as MariaDB takes it, where a statement can end by itself."""
    bounded = _bounded if timed else str
    return {
        "sessions": View((("sessions", bounded(_MY_SESSIONS)),), "no client is connected"),
        "transactions": View((("open transactions", bounded(_MY_TRANSACTIONS)),), "no transaction is open"),
        "locks": View((("waits for row locks", bounded(locks)),), "nobody waits for a row lock"),
        "replication": View((("as a replica", "SHOW REPLICA STATUS"),), "it follows nobody", _MY_REPLICA_COLUMNS),
        "settings": View(
            (("settings that differ from the default", bounded(settings)),), "all settings are the default"
        ),
        "tables": View(
            (("biggest tables of InnoDB", bounded(_MY_TABLES.format(tablespaces=tablespaces))),), "there are no tables"
        ),
    }


MARIADB = _of_mysql(
    locks=(
        "SELECT r.trx_mysql_thread_id AS waiting, b.trx_mysql_thread_id AS held_by, l.lock_mode AS mode, "
        "l.lock_table AS relation, TIMESTAMPDIFF(SECOND, r.trx_wait_started, NOW()) AS for_s, "
        "p.command AS holder_does, "
        "TIMESTAMPDIFF(SECOND, b.trx_started, NOW()) AS holder_open_s FROM information_schema.innodb_lock_waits w "
        "JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id "
        "JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id "
        "LEFT JOIN information_schema.innodb_locks l ON l.lock_id = w.requested_lock_id "
        f"LEFT JOIN information_schema.processlist p ON p.id = b.trx_mysql_thread_id {_LIMIT.upper()}"
    ),
    settings=(
        "SELECT LOWER(variable_name) AS name, LEFT(global_value, 80) AS value, global_value_origin AS source "
        "FROM information_schema.system_variables WHERE global_value_origin IN ('CONFIG', 'SQL', 'COMMAND-LINE') "
        f"AND NOT global_value <=> default_value AND LOWER(variable_name) {_NO_SECRETS} ORDER BY name {_LIMIT.upper()}"
    ),
    tablespaces="innodb_sys_tablespaces",
    timed=True,
)

MYSQL = _of_mysql(
    locks=(
        "SELECT waiting_pid AS waiting, blocking_pid AS held_by, waiting_lock_mode AS mode, locked_table AS relation, "
        f"wait_age_secs AS for_s, blocking_trx_age AS holder_open FROM sys.innodb_lock_waits {_LIMIT.upper()}"
    ),
    settings=(
        "SELECT i.variable_name AS name, LEFT(g.variable_value, 80) AS value, i.variable_source AS source "
        "FROM performance_schema.variables_info i JOIN performance_schema.global_variables g USING (variable_name) "
        f"WHERE i.variable_source <> 'COMPILED' AND i.variable_name {_NO_SECRETS} ORDER BY name {_LIMIT.upper()}"
    ),
    tablespaces="innodb_tablespaces",
    timed=False,
)

VIEWS: Mapping[Engine, Mapping[str, View]] = {"postgresql": POSTGRESQL, "mariadb": MARIADB, "mysql": MYSQL}
