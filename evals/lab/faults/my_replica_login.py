"""The password in the replica's settings is no longer the one its primary knows."""

from __future__ import annotations

from evals.lab.faults.on_mariadb import follow_again, in_step, sql, write
from evals.lab.mariadb import REPLICATION_PASSWORD
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    sql(stage, host, "STOP REPLICA", "CHANGE MASTER TO MASTER_PASSWORD='spring-2024'", "START REPLICA")
    write(stage)


def restore(stage: Stage, host: StageHost) -> None:
    follow_again(stage, host, f"CHANGE MASTER TO MASTER_PASSWORD='{REPLICATION_PASSWORD}'")


def mended(stage: Stage, host: StageHost) -> bool:
    return in_step(stage)


FAULT = Fault(
    name="my_replica_login",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="MariadbReplicationBroken",
    expected_cause="source_settings_broken",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="a wrong password in the replica's settings",
    on="my_replica",
    expected_actions=("repoint_replica",),
    mended=mended,
)
