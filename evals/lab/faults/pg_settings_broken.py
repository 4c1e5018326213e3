"""The replica is set to follow somebody who is not there."""

from __future__ import annotations

from evals.lab.faults.on_postgres import in_step, primary_of, set_conninfo, wait_in_step, write
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    was = set_conninfo(stage, host, "")
    set_conninfo(stage, host, was.replace(primary_of(stage).address, "127.0.0.9"))
    write(stage)


def restore(stage: Stage, host: StageHost) -> None:
    passfile = "passfile=/var/lib/postgresql/data.pgpass"
    address = primary_of(stage).address
    set_conninfo(stage, host, f"host={address} port=5432 user=replicator application_name=pg-2 {passfile}")
    wait_in_step(stage)


FAULT = Fault(
    name="pg_settings_broken",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="PostgresReplicationBroken",
    expected_cause="settings_broken",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="primary_conninfo names another host",
    on="pg_replica",
    expected_actions=("reload_replication",),
    mended=in_step,
)
