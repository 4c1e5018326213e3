"""The service really has that much to do, on a host that may grow no more: nothing to repair, a human must know."""

from __future__ import annotations

from evals.lab.declared import SERVICE_PORT
from evals.lab.disk import service_config
from evals.lab.faults.busy_host import one_cpu, restore
from evals.lab.faults.on_host import tell, wait_healthy
from evals.lab.hosts import LabStage
from evals.lab.load import start_load
from evals.lab.sizes import LARGE
from evals.lab.stage import Fault, StageHost

WORK_MS = 12
PER_SECOND = 80
"""Requests that cost a whole CPU and hardly more, so that the service keeps answering."""


def inject(stage: LabStage, host: StageHost) -> None:
    stage.book_type(host, LARGE)
    begin_load(stage, host)


def begin_load(stage: LabStage, host: StageHost) -> None:
    """Make each answer cost something, and ask for many."""
    one_cpu(stage, host)
    stage.machine(host).disk.write("etc/shopd.json", service_config(SERVICE_PORT, work_ms=WORK_MS))
    tell(stage, host, f"systemctl reset-failed {host.service}; systemctl restart {host.service}")
    wait_healthy(stage, host)
    start_load(host.address, SERVICE_PORT, PER_SECOND)


FAULT = Fault(
    name="cpu_load_at_cap",
    issue_type="high_cpu",
    settings=("lab",),
    alertname="HighCpu",
    expected_cause="legitimate_load",
    expected_outcome="escalated",
    inject=inject,
    restore=restore,
    says="many requests use up the CPU of a host that has the largest declared type",
)
