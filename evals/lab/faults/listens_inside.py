"""The service is configured to listen on loopback only, and restarted: it runs, it answers there, and nobody gets in.

A restart can't mend it, as it is configured so: whether the configuration or the declaration is right, a human decides.
"""

from __future__ import annotations

from evals.lab.faults.on_network import as_before, configure
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, StageHost


def inject(stage: LabStage, host: StageHost) -> None:
    configure(stage, host, listen="127.0.0.1")


def restore(stage: LabStage, host: StageHost) -> None:
    as_before(stage, host)


FAULT = Fault(
    name="listens_inside",
    issue_type="connection_timeout",
    settings=("lab",),
    alertname="EndpointUnreachable",
    expected_cause="wrong_listen_address",
    expected_outcome="escalated",
    inject=inject,
    restore=restore,
    says="the service's configuration has it listen on loopback only",
)
