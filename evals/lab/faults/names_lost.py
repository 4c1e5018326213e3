"""The host's resolv.conf names a server that answers nothing: the service hangs in looking its upstream up."""

from __future__ import annotations

from evals.lab.dnsd import NAME
from evals.lab.faults.on_host import tell, wait_healthy
from evals.lab.faults.on_network import as_before, configure
from evals.lab.hosts import LabStage
from evals.lab.network import GATEWAY
from evals.lab.stage import Fault, StageHost
from evals.lab.upstream import PORT

SILENT = "192.0.2.53"
"""Nobody has this address, and the lab's gateway drops what is for it."""


def inject(stage: LabStage, host: StageHost) -> None:
    configure(stage, host, upstream=f"{NAME}:{PORT}")
    wait_healthy(stage, host)
    tell(stage, host, f"printf 'search lab.internal\\nnameserver {SILENT}\\n' > /etc/resolv.conf")


def restore(stage: LabStage, host: StageHost) -> None:
    tell(stage, host, f"printf 'nameserver {GATEWAY}\\n' > /etc/resolv.conf; rm -f /etc/resolv.conf.selfheal-before")
    as_before(stage, host)


def mended(stage: LabStage, host: StageHost) -> bool:
    """Names resolve on the host, and the service reaches its upstream by name."""
    return stage.healthy(host) and stage.run(host, f"timeout 3 getent ahosts {NAME}").returncode == 0


FAULT = Fault(
    name="names_lost",
    issue_type="connection_timeout",
    settings=("lab",),
    alertname="EndpointUnreachable",
    expected_cause="dns_broken",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    mended=mended,
    expected_actions=("restore_dns",),
    says="the host's resolv.conf names a server that does not answer, and the service waits for its upstream's name",
)
