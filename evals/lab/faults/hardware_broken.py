"""What is beneath the host breaks: it hangs, no reboot helps, and its cloud says so. The standby has to take over."""

from __future__ import annotations

from evals.lab.cloud_network import FLOATING
from evals.lab.faults import host_hung
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, LabError, StageHost


def inject(stage: LabStage, host: StageHost) -> None:
    if stage.standby is None:
        raise LabError("this fault needs a stage with a standby")
    stage.cloud.broken.add(stage.instance_ids[host.resource_id])
    stage.power(host).loses_reboots = True
    host_hung.inject(stage, host)


def mended(stage: LabStage, host: StageHost) -> bool:
    """The floating address answers, and it is not the lost host that does."""
    return stage.serves(FLOATING) and not stage.healthy(host)


def restore(stage: LabStage, host: StageHost) -> None:
    stage.cloud.broken.discard(stage.instance_ids[host.resource_id])
    stage.power(host).loses_reboots = False
    stage.recover(host)
    stage.lead_back()


FAULT = Fault(
    needs=("standby",),
    name="hardware_broken",
    issue_type="service_down",
    settings=("lab",),
    alertname="InstanceDown",
    expected_cause="host_lost",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="what is beneath the host breaks, and it has a standby",
    expected_actions=("fail_over",),
    mended=mended,
)
