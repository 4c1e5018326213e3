"""Sessions that begin a transaction and do nothing take up the primary's connections."""

from __future__ import annotations

from evals.lab.faults.on_postgres import hold, in_step, release, wait_in_step
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    hold(stage, host, ("begin", "select 1"), times=16)


def restore(stage: Stage, host: StageHost) -> None:
    release(stage, host)
    wait_in_step(stage)


FAULT = Fault(
    name="pg_idle_transactions",
    issue_type="connection_timeout",
    settings=("lab",),
    alertname="PostgresConnectionsExhausted",
    expected_cause="connections_exhausted",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="idle sessions take up the connections",
    on="pg_primary",
    expected_actions=("end_idle_sessions",),
    mended=in_step,
)
