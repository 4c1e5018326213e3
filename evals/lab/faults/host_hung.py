"""The host hangs: its kernel still answers pings and TCP handshakes, nothing else does; its provider says it runs."""

from __future__ import annotations

from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, StageHost


def inject(stage: LabStage, host: StageHost) -> None:
    stage.machine(host).freeze()


def restore(stage: LabStage, host: StageHost) -> None:
    stage.recover(host)


FAULT = Fault(
    name="host_hung",
    issue_type="service_down",
    settings=("lab",),
    alertname="InstanceDown",
    expected_cause="host_hung",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="every process of the host stops where it stands",
    expected_actions=("soft_reboot",),
)
