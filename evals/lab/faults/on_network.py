"""What faults of a host's network have in common."""

from __future__ import annotations

from evals.lab.declared import SERVICE_PORT
from evals.lab.disk import service_config
from evals.lab.faults.on_host import start_again, tell
from evals.lab.hosts import LabStage
from evals.lab.network import from_network, service_address
from evals.lab.probing import ask
from evals.lab.stage import LabError, StageHost


def answers_clients(stage: LabStage, host: StageHost) -> bool:
    """Whether the service really answers at the host's second address, where clients come in."""
    return _well(service_address(host.address)) and stage.healthy(host)


def configure(stage: LabStage, host: StageHost, **settings: object) -> None:
    """Give the service these settings, as an operator would."""
    stage.machine(host).disk.write("etc/shopd.json", service_config(SERVICE_PORT, **settings))  # type: ignore[arg-type]
    tell(stage, host, f"systemctl reset-failed {host.service}; systemctl restart {host.service}")


def as_before(stage: LabStage, host: StageHost) -> None:
    """The service's settings as they were, its network set up anew, and both working."""
    stage.machine(host).disk.write("etc/shopd.json", service_config(SERVICE_PORT))
    tell(stage, host, f"systemctl reset-failed {host.service}; systemctl restart systemd-networkd {host.service}")
    start_again(stage, host)


def _well(address: str) -> bool:
    try:
        return from_network(lambda: ask(f"http://{address}:{SERVICE_PORT}/healthz", timeout=2)[0] == 200)
    except (OSError, LabError):
        return False
