"""The primary's server is killed."""

from __future__ import annotations

from evals.lab.faults.on_postgres import UNIT, in_step, tell, wait_in_step
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    tell(stage, host, f"systemctl kill -s KILL {UNIT}")


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, f"systemctl reset-failed {UNIT}; systemctl start {UNIT}", timeout=60)
    wait_in_step(stage)


FAULT = Fault(
    name="pg_server_killed",
    issue_type="service_down",
    settings=("lab",),
    alertname="PostgresPrimaryDown",
    expected_cause="process_crashed",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="the primary is killed",
    on="pg_primary",
    expected_actions=("restart_service",),
    mended=in_step,
)
