"""Somebody has told the replica to forget its primary, as one does before making it a server of its own."""

from __future__ import annotations

from evals.lab.faults.on_mariadb import follow_again, in_step, settings, sql, write
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    sql(stage, host, "STOP REPLICA", "RESET REPLICA ALL")
    write(stage)


def restore(stage: Stage, host: StageHost) -> None:
    follow_again(stage, host, settings(stage))


def mended(stage: Stage, host: StageHost) -> bool:
    return in_step(stage)


FAULT = Fault(
    name="my_source_forgotten",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="MariadbReplicaFollowsNobody",
    expected_cause="source_forgotten",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="RESET REPLICA ALL on the replica",
    on="my_replica",
    expected_actions=("repoint_replica",),
    mended=mended,
)
