"""The host is powered off, and its provider knows."""

from __future__ import annotations

from typing import cast

from evals.lab.faults.on_host import wait_healthy
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    cast(LabStage, stage).machine(host).shut_down()


def restore(stage: Stage, host: StageHost) -> None:
    machine = cast(LabStage, stage).machine(host)
    machine.power_on()
    wait_healthy(stage, host)


FAULT = Fault(
    name="host_stopped",
    issue_type="service_down",
    settings=("lab",),
    alertname="InstanceDown",
    expected_cause="host_stopped",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="the instance is shut down",
)
