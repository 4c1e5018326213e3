"""The replica was away for so long that its primary has thrown away what it needs next."""

from __future__ import annotations

from evals.lab.faults.on_mariadb import copy_again, forget_old_data, in_step, member, sql, write
from evals.lab.probing import wait_until
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    primary = member(stage, "my_primary")
    sql(stage, host, "STOP REPLICA")
    write(stage)

    def left() -> str | None:
        sql(stage, primary, "FLUSH BINARY LOGS")
        write(stage)
        last = sql(stage, primary, "SHOW MASTER STATUS").split()[0]
        # a log that is still being sent is kept
        sql(stage, primary, f"PURGE BINARY LOGS TO '{last}'")
        logs = sql(stage, primary, "SHOW BINARY LOGS").splitlines()
        return None if len(logs) == 1 else f"{len(logs)} logs are left"

    wait_until(left, 20, "the primary has thrown away its old logs", every=0.5)
    sql(stage, host, "START REPLICA")


def restore(stage: Stage, host: StageHost) -> None:
    if not in_step(stage):
        copy_again(stage, host)
    forget_old_data(stage, host)


def mended(stage: Stage, host: StageHost) -> bool:
    return in_step(stage)


FAULT = Fault(
    name="my_log_purged",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="MariadbReplicationBroken",
    expected_cause="binlog_lost",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="the log the replica needs next is purged",
    on="my_replica",
    expected_actions=("rebuild_mariadb_replica", "repoint_replica"),
    mended=mended,
)
