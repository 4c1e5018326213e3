"""The host goes off, and its cloud has no machine to start it on: the standby has to take over."""

from __future__ import annotations

from evals.lab.cloud_network import FLOATING
from evals.lab.faults import host_stopped
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, LabError, StageHost


def inject(stage: LabStage, host: StageHost) -> None:
    if stage.standby is None:
        raise LabError("this fault needs a stage with a standby")
    stage.cloud.out_of_capacity.add(stage.instance_ids[host.resource_id])
    host_stopped.inject(stage, host)


def mended(stage: LabStage, host: StageHost) -> bool:
    """The floating address answers, and it is not the lost host that does."""
    return stage.serves(FLOATING) and not stage.healthy(host)


def restore(stage: LabStage, host: StageHost) -> None:
    instance = stage.instance_ids[host.resource_id]
    stage.cloud.out_of_capacity.discard(instance)
    stage.recover(host)
    stage.lead_back()


FAULT = Fault(
    needs=("standby",),
    name="host_lost",
    issue_type="service_down",
    settings=("lab",),
    alertname="InstanceDown",
    expected_cause="host_stopped",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="the host goes off and can't be started again, but it has a standby",
    expected_actions=("start_instance", "fail_over"),
    mended=mended,
)
