"""Somebody pauses the replica's replay for a look at old data, and forgets."""

from __future__ import annotations

from evals.lab.faults.on_postgres import in_step, sql, wait_in_step, write
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    sql(stage, host, "select pg_wal_replay_pause()")
    write(stage)


def restore(stage: Stage, host: StageHost) -> None:
    sql(stage, host, "select pg_wal_replay_resume()")
    wait_in_step(stage)


FAULT = Fault(
    name="pg_replay_paused",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="PostgresReplicationLag",
    expected_cause="replay_paused",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="replay is paused",
    on="pg_replica",
    expected_actions=("resume_replay",),
    mended=in_step,
)
