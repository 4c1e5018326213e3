"""Somebody has written to the replica, and what its primary sends next does not fit."""

from __future__ import annotations

from evals.lab.faults.on_mariadb import TABLE, copy_again, forget_old_data, in_step, member, sql
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    number = int(sql(stage, member(stage, "my_primary"), f"SELECT MAX(id) + 1000 FROM {TABLE}"))
    sql(stage, host, "SET sql_log_bin = 0", f"INSERT INTO {TABLE} (id, what) VALUES ({number}, 'cake')")
    sql(stage, member(stage, "my_primary"), f"INSERT INTO {TABLE} (id, what) VALUES ({number}, 'bread')")


def restore(stage: Stage, host: StageHost) -> None:
    if not in_step(stage):
        copy_again(stage, host)
    forget_old_data(stage, host)


def mended(stage: Stage, host: StageHost) -> bool:
    return in_step(stage) and not sql(stage, host, f"SELECT id FROM {TABLE} WHERE what = 'cake'")


FAULT = Fault(
    name="my_replica_differs",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="MariadbReplicationBroken",
    expected_cause="applier_failed",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="a row on the replica that its primary has otherwise",
    on="my_replica",
    expected_actions=("rebuild_mariadb_replica", "repoint_replica"),
    mended=mended,
)
