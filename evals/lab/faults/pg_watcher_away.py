"""No fault at all: the primary's exporter is away for some seconds, so that Prometheus takes the primary for down."""

from __future__ import annotations

from evals.lab.faults.on_host import tell
from evals.lab.faults.on_postgres import in_step
from evals.lab.faults.watcher_away import away
from evals.lab.stage import Fault, Stage, StageHost

EXPORTER = "postgres-exporter"


def inject(stage: Stage, host: StageHost) -> None:
    away(stage, host, EXPORTER)


def restore(stage: Stage, host: StageHost) -> None:
    tell(stage, host, f"systemctl start {EXPORTER}")


FAULT = Fault(
    name="pg_watcher_away",
    issue_type="service_down",
    settings=("lab",),
    alertname="PostgresPrimaryDown",
    expected_cause="no_fault",
    expected_outcome="self_resolved",
    inject=inject,
    restore=restore,
    kind="Database",
    says="the primary is well, but what tells Prometheus so is away for some seconds",
    on="pg_primary",
    mended=in_step,
)
