"""The replica's slot is dropped while it is away, and the log it needs is gone."""

from __future__ import annotations

from evals.lab.faults.on_postgres import copy_again, in_step, primary_of, set_conninfo, sql, write
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    was = set_conninfo(stage, host, "host=127.0.0.9 port=5432")
    for _ in range(50):
        if sql(stage, primary_of(stage), "select count(*) from pg_replication_slots where active") == "0":
            break
    sql(stage, primary_of(stage), "select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    for _ in range(6):
        write(stage, 8)
        sql(stage, primary_of(stage), "select pg_switch_wal()")
        sql(stage, primary_of(stage), "checkpoint")
    set_conninfo(stage, host, was)


def restore(stage: Stage, host: StageHost) -> None:
    make = "select pg_create_physical_replication_slot('replica_1')"
    if sql(stage, primary_of(stage), "select count(*) from pg_replication_slots") == "0":
        sql(stage, primary_of(stage), make)
    copy_again(stage, host)


FAULT = Fault(
    name="pg_log_recycled",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="PostgresReplicationBroken",
    expected_cause="wal_lost",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="the log the replica needs is gone",
    on="pg_replica",
    expected_actions=("recreate_slot", "rebuild_postgres_replica"),
    mended=in_step,
)
