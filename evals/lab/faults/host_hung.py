"""The host hangs: the kernel still shakes hands, nothing behind it answers, and the provider says it runs."""

from __future__ import annotations

from typing import cast

from evals.lab.faults.on_host import wait_healthy
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    cast(LabStage, stage).machine(host).freeze()


def restore(stage: Stage, host: StageHost) -> None:
    machine = cast(LabStage, stage).machine(host)
    machine.thaw()
    machine.power_on()
    wait_healthy(stage, host)


FAULT = Fault(
    name="host_hung",
    issue_type="service_down",
    settings=("lab",),
    alertname="InstanceDown",
    expected_cause="host_hung",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="every process of the host stops in its tracks",
)
