"""A slot that nobody uses keeps the primary's log from being removed."""

from __future__ import annotations

from evals.lab.faults.on_postgres import in_step, sql, wait_in_step, write
from evals.lab.stage import Fault, Stage, StageHost

SLOT = "segment_0041"


def inject(stage: Stage, host: StageHost) -> None:
    sql(stage, host, f"select pg_create_physical_replication_slot('{SLOT}', true)")
    write(stage, 150)


def restore(stage: Stage, host: StageHost) -> None:
    drop = "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
    sql(stage, host, f"{drop} where slot_name = '{SLOT}'")
    wait_in_step(stage)


def dropped(stage: Stage, host: StageHost) -> bool:
    """It is gone, and the replica follows."""
    return sql(stage, host, "select count(*) from pg_replication_slots") == "1" and in_step(stage)


FAULT = Fault(
    name="pg_dead_slot",
    issue_type="disk_full",
    settings=("lab",),
    alertname="PostgresWalRetained",
    expected_cause="wal_retained",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="a slot nobody uses keeps the log",
    on="pg_primary",
    expected_actions=("drop_slot",),
    mended=dropped,
)
