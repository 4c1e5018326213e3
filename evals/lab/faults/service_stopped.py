"""Somebody stops the service, in good order, and forgets to start it."""

from __future__ import annotations

from evals.lab.faults.on_host import manager, start_again, tell
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    tell(stage, host, manager(stage, "stop", host.service))


FAULT = Fault(
    name="service_stopped",
    issue_type="service_down",
    settings=("lab", "local"),
    alertname="ServiceDown",
    expected_cause="service_stopped",
    expected_outcome="mitigated",
    inject=inject,
    restore=start_again,
    says="the service is stopped through its manager",
    expected_actions=("start_service",),
)
