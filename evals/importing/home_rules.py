"""The table: exporters' and CloudWatch's metrics, and the facts of our sources that they are."""

from __future__ import annotations

from evals.importing.homes import (
    Rule,
    busy,
    cores,
    count,
    mib,
    milliseconds,
    mode_share,
    number,
    percent,
    positive,
    seconds,
    share,
    word,
    yes,
    yes_or_no,
    zero_or_one,
)

_CPU = (
    r"(node:(ins|cpu):cpu_usage.*|instance:node_cpu(_utili[sz]ation)?(:.*)?"
    r"|(system_|node_|host_)?cpu_(usage|util\w*)(_percent|_ratio)?)"
)
_IDLE = {"mode": "idle"}
_MOUNT = {"mount": ("mountpoint", "mount", "path", "=/")}
_DISKS = {"fstype": "(?!tmpfs|ramfs|overlay|squashfs|nsfs|autofs|devtmpfs|fuse).*"}
_SLOT = {"slot": ("slot_name", "slot")}

HOST: tuple[Rule, ...] = (
    Rule("node_load1", "host.load1", number),
    Rule("up", "metric.up", zero_or_one, "low", labels={"job": ("job", "=unnamed")}),
    Rule("probe_success", "health.ok", yes, "low", labels={"check": ("instance", "target", "=http unnamed")}),
    *(
        rule
        for fact in ("metric.cpu_percent", "metric.cpu_usual_percent", "cpu.busy_percent")
        for rule in (
            Rule(_CPU, fact, share),
            Rule("node_cpu(_seconds_total)?", fact, busy, "low", _IDLE),
            Rule("node_cpu(_seconds_total)?", fact, share, only=_IDLE, inverted=True),
            Rule("CPUUtilization", fact, percent),
            Rule(r"os\.cpuUtilization\.total(\.avg)?", fact, percent),
        )
    ),
    Rule("node_cpu(_seconds_total)?", "cpu.steal_percent", mode_share, only={"mode": "steal"}),
    Rule(
        "namedprocess_namegroup_cpu_seconds_total", "process.cpu_percent", cores, adds_up=True,
        labels={"name": ("groupname",), "pid": ("pid", "=unknown")},
    ),
    Rule("node_memory_MemAvailable(_bytes)?", "_memory_available", mib, "low"),
    Rule("node_memory_MemTotal(_bytes)?", "_memory_total", mib),
    Rule("node_memory_MemAvailable(_bytes)?", "metric.memory_used_percent", share, inverted=True),
    Rule("node_filesystem_(avail|free)_bytes", "_disk_used", share, only=_DISKS, labels=_MOUNT, inverted=True),
    Rule("node_filesystem_(avail|free)_bytes", "_disk_avail", mib, "low", _DISKS, _MOUNT),
    Rule("node_filesystem_size_bytes", "_disk_size", mib, only=_DISKS, labels=_MOUNT),
    Rule("node_filesystem_files", "_inodes", count, only=_DISKS, labels=_MOUNT),
    Rule("node_filesystem_files_free", "_inodes_free", count, "low", _DISKS, _MOUNT),
    Rule(
        r"(node_filesystem_usage|disk_used_percent|instance:node_filesystem_usage.*|node:fs:space_usage.*)",
        "_disk_used", share, labels=_MOUNT,
    ),
    Rule(
        "(node_)?systemd_unit_state", "unit.state", word("failed"), only={"state": "failed"},
        labels={"unit": ("name", "unit")},
    ),
    Rule(
        "(node_)?systemd_unit_state", "unit.state", word("running"), "low", {"state": "active"},
        {"unit": ("name", "unit")},
    ),
    Rule("StatusCheckFailed_System", "provider.system_check", word("impaired", "ok")),
    Rule("StatusCheckFailed_Instance", "provider.instance_check", word("impaired", "ok")),
)  # fmt: skip

DATABASE: tuple[Rule, ...] = (
    Rule("(pg|mysql)_up", "db.accepting", yes, "low"),
    Rule("pg_replication_is_replica", "db.role", word("replica", "primary"), "low"),
    Rule(
        "pg_stat_activity_count", "db.idle_in_transaction", positive, only={"state": "idle in transaction.*"},
        adds_up=True,
    ),
    Rule("pg_stat_activity_count|pg_stat_database_numbackends", "db.connections_used", count, adds_up=True),
    Rule("mysql_global_status_threads_connected|DatabaseConnections", "db.connections_used", count),
    Rule("pg_settings_max_connections|mysql_global_variables_max_connections", "db.connections_max", positive, "low"),
    Rule(r"mysql_global_status_threads_running|db\.load(\.avg)?", "db.active", count),
    Rule("pg_replication_lag(_seconds)?|ReplicaLag", "_lag", seconds),
    Rule("mysql_(slave|replica)_status_seconds_behind_(master|source)", "_lag_mysql", seconds),
    Rule("AuroraReplicaLag(Maximum)?", "_lag", milliseconds),
    Rule("ReplicaLag", "_not_replicating", lambda value, of: True if value == -1 else None, "low"),
    Rule("pg_stat_replication_pg_wal_lsn_diff|pg_replication_lag_bytes", "repl.lag_bytes", positive),
    Rule("pg_replication_slots?_active", "_slot_active", yes, "low", labels=_SLOT),
    Rule("pg_replication_slots_pg_wal_lsn_diff", "_slot_bytes", count, labels=_SLOT),
    Rule("mysql_(slave|replica)_status_(slave|replica)_io_running", "repl.receiver", yes_or_no, "low"),
    Rule("mysql_(slave|replica)_status_(slave|replica)_io_running", "repl.receiving", yes, "low"),
    Rule("mysql_(slave|replica)_status_(slave|replica)_sql_running", "repl.applier", yes_or_no, "low"),
    Rule("mysql_(slave|replica)_status_(slave|replica)_sql_running", "repl.applying", yes, "low"),
    Rule("mysql_(slave|replica)_status_last_io_errno", "repl.receiver_errno", positive),
    Rule("mysql_(slave|replica)_status_last_sql_errno", "repl.applier_errno", positive),
    Rule("FreeStorageSpace", "disk.avail_mib", mib, "low", labels={"mount": ("=storage",)}),
)  # fmt: skip

RULES: tuple[Rule, ...] = (*HOST, *DATABASE)
