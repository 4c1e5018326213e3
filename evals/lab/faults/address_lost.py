"""The interface where clients come in loses its address; it is up all the same."""

from __future__ import annotations

from evals.lab.faults.on_host import tell
from evals.lab.faults.on_network import answers_clients, as_before
from evals.lab.hosts import LabStage
from evals.lab.network import SERVICE_LINK
from evals.lab.stage import Fault, StageHost


def inject(stage: LabStage, host: StageHost) -> None:
    tell(stage, host, f"ip addr flush dev {SERVICE_LINK}")


def restore(stage: LabStage, host: StageHost) -> None:
    as_before(stage, host)


FAULT = Fault(
    name="address_lost",
    issue_type="connection_timeout",
    settings=("lab",),
    alertname="EndpointUnreachable",
    expected_cause="interface_down",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    mended=answers_clients,
    expected_actions=("restart_networking",),
    says="the address where clients reach the service is taken off its interface",
)
