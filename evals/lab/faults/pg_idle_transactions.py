"""Sessions that begin a transaction and do nothing take up the primary's connections."""

from __future__ import annotations

from evals.lab.faults.on_postgres import hold, in_step, release, wait_in_step
from evals.lab.stage import Fault, Stage, StageHost

SESSIONS = 18
"""Of the 21 that others than superusers may have: with the exporter's more than nine in ten, and room for a healer."""


def inject(stage: Stage, host: StageHost) -> None:
    hold(stage, host, ("begin", "select 1"), times=SESSIONS)


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
