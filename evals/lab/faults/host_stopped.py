"""The host powers itself off, as after a `poweroff` typed in the wrong window; the provider knows it as stopped."""

from __future__ import annotations

from evals.lab.hosts import LabStage
from evals.lab.probing import wait_until
from evals.lab.stage import Fault, StageHost

SHUTDOWN_WAIT = 20.0


def inject(stage: LabStage, host: StageHost) -> None:
    machine = stage.machine(host)
    # --no-block: the command's own shell goes down with the host
    stage.run(host, "systemctl --no-block poweroff")
    wait_until(
        lambda: f"{host.name} still has power" if machine.powered else None, SHUTDOWN_WAIT, f"{host.name} is off"
    )


def restore(stage: LabStage, host: StageHost) -> None:
    stage.recover(host)


FAULT = Fault(
    name="host_stopped",
    issue_type="service_down",
    settings=("lab",),
    alertname="InstanceDown",
    expected_cause="host_stopped",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="somebody powers the host off from within",
    expected_actions=("start_instance",),
)
