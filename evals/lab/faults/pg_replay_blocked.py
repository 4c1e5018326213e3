"""A long query on the replica holds what replay must change, and is allowed to."""

from __future__ import annotations

from evals.lab.faults.on_postgres import hold, in_step, primary_of, release, sql, wait_in_step, write
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    sql(stage, primary_of(stage), "create table if not exists report (day int)")
    wait_in_step(stage)
    sql(stage, host, "alter system set max_standby_streaming_delay = -1")
    sql(stage, host, "select pg_reload_conf()")
    hold(stage, host, ("begin isolation level repeatable read", "select count(*) from report", "select pg_sleep(600)"))
    wait_until_held(stage, host)
    sql(stage, primary_of(stage), "drop table report")
    write(stage)


def wait_until_held(stage: Stage, host: StageHost) -> None:
    held = "select count(*) from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()"
    for _ in range(50):
        if sql(stage, host, held) != "0":
            return


def restore(stage: Stage, host: StageHost) -> None:
    release(stage, host)
    sql(stage, host, "alter system reset max_standby_streaming_delay")
    sql(stage, host, "select pg_reload_conf()")
    wait_in_step(stage)


FAULT = Fault(
    name="pg_replay_blocked",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="PostgresReplicationLag",
    expected_cause="replay_blocked",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="a query on the replica blocks its replay",
    on="pg_replica",
    expected_actions=("end_session",),
    mended=in_step,
)
