"""A report keeps its transaction open on the replica, and a change of its table has to wait for it."""

from __future__ import annotations

from evals.lab.faults.on_mariadb import TABLE, hold, in_step, member, release, sql
from evals.lab.stage import Fault, Stage, StageHost

KEPT = 900
"""Seconds for which the report would stay."""


def inject(stage: Stage, host: StageHost) -> None:
    hold(stage, host, f"{{ echo 'BEGIN; SELECT COUNT(*) FROM {TABLE};'; sleep {KEPT}; }} | mariadb --unbuffered")
    # it has to have its lock first
    sql(stage, host, "DO SLEEP(1)")
    sql(stage, member(stage, "my_primary"), f"ALTER TABLE {TABLE} COMMENT 'orders of the shop'")


def restore(stage: Stage, host: StageHost) -> None:
    release(stage, host)


def mended(stage: Stage, host: StageHost) -> bool:
    release(stage, host)
    return in_step(stage)


FAULT = Fault(
    name="my_apply_blocked",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="MariadbReplicationLag",
    expected_cause="applier_blocked",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="a session on the replica keeps a lock that applying waits for",
    on="my_replica",
    expected_actions=("end_session",),
    mended=mended,
)
