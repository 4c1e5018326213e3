"""Somebody stops replication for a while and forgets to start it."""

from __future__ import annotations

from evals.lab.faults.on_mariadb import follow_again, in_step, sql, write
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    sql(stage, host, "STOP REPLICA")
    write(stage)


def restore(stage: Stage, host: StageHost) -> None:
    follow_again(stage, host)


def mended(stage: Stage, host: StageHost) -> bool:
    return in_step(stage)


FAULT = Fault(
    name="my_replication_stopped",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="MariadbReplicationBroken",
    expected_cause="replication_stopped",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="STOP REPLICA on the replica",
    on="my_replica",
    expected_actions=("start_replication",),
    mended=mended,
)
