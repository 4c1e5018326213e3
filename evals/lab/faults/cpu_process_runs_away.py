"""A program that a user has started and left loops for ever: a process without a unit of its own."""

from __future__ import annotations

from evals.lab.faults.busy_host import SCRIPT, leave_script, one_cpu, rested, restore, run_as_user
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, StageHost


def inject(stage: LabStage, host: StageHost) -> None:
    one_cpu(stage, host)
    # it will not go when it is asked to
    leave_script(stage, host, "trap '' TERM HUP\nwhile :; do :; done\n")
    run_as_user(stage, host, f"sh {SCRIPT}")


FAULT = Fault(
    name="cpu_process_runs_away",
    issue_type="high_cpu",
    settings=("lab",),
    alertname="HighCpu",
    expected_cause="runaway_process",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="a program left behind by a user's login loops for ever and ignores SIGTERM",
    expected_actions=("stop_process",),
    mended=rested,
)
