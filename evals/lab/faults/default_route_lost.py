"""The host loses its default route: the service no longer reaches its upstream, which lies beyond its own network."""

from __future__ import annotations

from evals.lab.faults.on_host import tell, wait_healthy
from evals.lab.faults.on_network import as_before, configure
from evals.lab.hosts import LabStage
from evals.lab.network import BEYOND, GATEWAY
from evals.lab.stage import Fault, StageHost
from evals.lab.upstream import PORT


def inject(stage: LabStage, host: StageHost) -> None:
    configure(stage, host, upstream=f"{BEYOND}:{PORT}")
    wait_healthy(stage, host)
    tell(stage, host, "ip route del default")


def restore(stage: LabStage, host: StageHost) -> None:
    as_before(stage, host)


def mended(stage: LabStage, host: StageHost) -> bool:
    """The declared route is there, and the service reaches what lies behind it."""
    return stage.healthy(host) and f"via {GATEWAY}" in stage.run(host, "ip route show default").stdout


FAULT = Fault(
    name="default_route_lost",
    issue_type="connection_timeout",
    settings=("lab",),
    alertname="EndpointUnreachable",
    expected_cause="route_missing",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    mended=mended,
    expected_actions=("add_route",),
    says="the host's default route is deleted, and its service's upstream lies behind it",
)
