"""A job that somebody has left to systemd loops for ever and uses up the CPU."""

from __future__ import annotations

from evals.lab.faults.busy_host import SCRIPT, leave_script, one_cpu, rested, restore, run_unit
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, StageHost


def inject(stage: LabStage, host: StageHost) -> None:
    one_cpu(stage, host)
    leave_script(stage, host, "while :; do :; done\n")
    run_unit(stage, host, f"/bin/sh {SCRIPT}")


FAULT = Fault(
    name="cpu_unit_runs_away",
    issue_type="high_cpu",
    settings=("lab",),
    alertname="HighCpu",
    expected_cause="runaway_process",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="a job in a unit of its own loops for ever",
    expected_actions=("stop_unit",),
    mended=rested,
)
