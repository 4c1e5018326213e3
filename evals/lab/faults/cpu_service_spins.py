"""A thread of the service itself loops for ever, while nobody asks more of it than usual: a restart mends it."""

from __future__ import annotations

from evals.lab.declared import SERVICE_PORT
from evals.lab.disk import service_config
from evals.lab.faults.busy_host import one_cpu, restore
from evals.lab.faults.on_host import tell, wait_healthy
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, StageHost


def inject(stage: LabStage, host: StageHost) -> None:
    one_cpu(stage, host)
    disk = stage.machine(host).disk
    disk.write("etc/shopd.json", service_config(SERVICE_PORT, spin=True))
    try:
        tell(stage, host, f"systemctl reset-failed {host.service}; systemctl restart {host.service}")
        wait_healthy(stage, host)
    finally:
        # read at its start only: what made it spin is gone, as a rare bug is
        disk.write("etc/shopd.json", service_config(SERVICE_PORT))


def spinning(stage: LabStage, host: StageHost) -> bool:
    """Whether the service still uses up its CPU, by its own clock over a second."""
    ask = f"p=$(systemctl show -p MainPID --value {host.service}); awk '{{print $14+$15}}' /proc/$p/stat"
    before, after = tell(stage, host, f"{ask}; sleep 1; {ask}").stdout.split()
    return int(after) - int(before) > 50


FAULT = Fault(
    name="cpu_service_spins",
    issue_type="high_cpu",
    settings=("lab",),
    alertname="HighCpu",
    expected_cause="runaway_service",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="a thread of the service loops for ever, with no more requests than usual",
    expected_actions=("restart_service",),
    mended=lambda stage, host: stage.healthy(host) and not spinning(stage, host),
)
