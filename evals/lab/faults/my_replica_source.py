"""The replica's settings name a host that is not its primary."""

from __future__ import annotations

from evals.lab.faults.on_mariadb import follow_again, in_step, member, sql, write
from evals.lab.network import GATEWAY
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    # where no MariaDB is
    sql(stage, host, "STOP REPLICA", f"CHANGE MASTER TO MASTER_HOST='{GATEWAY}'", "START REPLICA")
    write(stage)


def restore(stage: Stage, host: StageHost) -> None:
    address = member(stage, "my_primary").address
    follow_again(stage, host, f"CHANGE MASTER TO MASTER_HOST='{address}', MASTER_USE_GTID=slave_pos")


def mended(stage: Stage, host: StageHost) -> bool:
    return in_step(stage)


FAULT = Fault(
    name="my_replica_source",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="MariadbReplicationBroken",
    expected_cause="source_settings_broken",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="a wrong host in the replica's settings",
    on="my_replica",
    expected_actions=("repoint_replica",),
    mended=mended,
)
