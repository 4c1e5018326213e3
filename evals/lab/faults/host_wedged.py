"""The host hangs, and its cloud takes a reboot that nothing comes of: only stopping and starting it helps."""

from __future__ import annotations

from evals.lab.faults import host_hung
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, StageHost


def inject(stage: LabStage, host: StageHost) -> None:
    stage.power(host).loses_reboots = True
    host_hung.inject(stage, host)


def restore(stage: LabStage, host: StageHost) -> None:
    stage.power(host).loses_reboots = False
    stage.recover(host)


FAULT = Fault(
    name="host_wedged",
    issue_type="service_down",
    settings=("lab",),
    alertname="InstanceDown",
    expected_cause="host_hung",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    # one that has no standby of its own, which would come before the plug
    on="standby",
    says="the host hangs, and a reboot through its provider has no effect",
    expected_actions=("soft_reboot", "hard_reboot"),
)
