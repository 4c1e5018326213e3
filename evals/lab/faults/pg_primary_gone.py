"""The primary's data is gone, and its replica has all of it."""

from __future__ import annotations

from evals.lab.faults.on_postgres import DATA, UNIT, begin_anew, replica_of, sql, tell, wait_in_step
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    wait_in_step(stage)
    tell(stage, host, f"systemctl kill -s KILL {UNIT}; rm -rf {DATA}/global")


def restored(stage: Stage, host: StageHost) -> None:
    stage.run(host, f"systemctl reset-failed {UNIT}; systemctl enable {UNIT}")
    begin_anew(stage, host)


def taken_over(stage: Stage, host: StageHost) -> bool:
    """Its replica takes writes now."""
    sql(stage, replica_of(stage), "insert into orders (what) values ('bread')")
    return True


FAULT = Fault(
    name="pg_primary_gone",
    issue_type="service_down",
    settings=("lab",),
    alertname="PostgresPrimaryDown",
    expected_cause="primary_lost",
    expected_outcome="mitigated",
    inject=inject,
    restore=restored,
    kind="Database",
    says="the primary's data is gone",
    on="pg_primary",
    expected_actions=("fence_primary", "promote_postgres_replica"),
    mended=taken_over,
)
