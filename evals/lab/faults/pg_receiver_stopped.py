"""The replica's WAL receiver is stopped in its tracks, while both sides say that they stream."""

from __future__ import annotations

from evals.lab.faults.on_postgres import in_step, sql, tell, wait_in_step, write
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    tell(stage, host, f"kill -STOP {sql(stage, host, 'select pid from pg_stat_wal_receiver')}")
    write(stage)


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, "pkill -CONT -f '[w]alreceiver'")
    wait_in_step(stage)


FAULT = Fault(
    name="pg_receiver_stopped",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="PostgresReplicationLag",
    expected_cause="receiver_stuck",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="the WAL receiver is stopped",
    on="pg_replica",
    expected_actions=("restart_receiver",),
    mended=in_step,
)
