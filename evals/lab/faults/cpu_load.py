"""The service really has that much to do, on a host that may grow: with the next larger type it has CPU to spare."""

from __future__ import annotations

from evals.lab.faults.busy_host import restore
from evals.lab.faults.cpu_load_at_cap import begin_load
from evals.lab.hosts import LabStage
from evals.lab.sizes import SMALL
from evals.lab.stage import Fault, StageHost


def inject(stage: LabStage, host: StageHost) -> None:
    stage.book_type(host, SMALL)
    begin_load(stage, host)


def grown(stage: LabStage, host: StageHost) -> bool:
    """Whether the host really has more CPUs than one, and its service answers under the load that goes on."""
    return stage.healthy(host) and stage.run(host, "nproc").stdout.strip() not in ("", "1")


FAULT = Fault(
    name="cpu_load",
    issue_type="high_cpu",
    settings=("lab",),
    alertname="HighCpu",
    expected_cause="legitimate_load",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="many requests use up the CPU of a host that may have a larger type",
    expected_actions=("resize_instance",),
    mended=grown,
)
