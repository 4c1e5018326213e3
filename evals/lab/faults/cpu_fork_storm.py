"""A job starts short processes without end, some dozens at a time: none of them is ever seen to use much."""

from __future__ import annotations

from evals.lab.faults.busy_host import SCRIPT, leave_script, one_cpu, rested, restore, run_unit
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, StageHost

AT_ONCE = 40
"""Far from the host's limit: what mends it has to be able to start as well."""


def inject(stage: LabStage, host: StageHost) -> None:
    one_cpu(stage, host)
    each = "(i=0; while [ $i -lt 300 ]; do i=$((i+1)); done) &"
    leave_script(stage, host, f"while :; do n=0; while [ $n -lt {AT_ONCE} ]; do n=$((n+1)); {each}\ndone; wait; done\n")
    run_unit(stage, host, f"/bin/sh {SCRIPT}")


FAULT = Fault(
    name="cpu_fork_storm",
    issue_type="high_cpu",
    settings=("lab",),
    alertname="HighCpu",
    expected_cause="fork_storm",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="a job starts hundreds of short processes a second",
    expected_actions=("stop_unit",),
    mended=rested,
)
