"""`pytest evals`: every case with the runbook, one test each, failing with the scorers' reasons.

What fails in the accepted baseline as well is expected to fail: the gate (`selfheal evals gate`) is what keeps it from
getting worse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evals.case import Case, load_cases
from evals.commands.common import default_root
from evals.gate import baseline_path, read_baseline
from evals.reasoners import Choice
from evals.running import evaluate

KNOWN = "known weakness, in the baseline"


def parameters(root: Path) -> list[Any]:
    """The cases under `root`; those that the baseline beside it knows to fail are marked."""
    path = baseline_path(root)
    known = read_baseline(path).cases if path.exists() else {}
    weak = {name for name, was in known.items() if not was.passed}
    marked = pytest.mark.xfail(strict=False, reason=KNOWN)
    return [pytest.param(case, id=case.id, marks=[marked] if case.id in weak else []) for case in load_cases(root)]


def judge(case: Case) -> None:
    """Fails with the scorers' reasons."""
    [result] = evaluate((case,), Choice("runbook")).cases
    why = [reason for run in result.runs for reason in run.why_failed]
    if why:
        pytest.fail("\n".join([f"{case.id} ({result.split}) scored {result.total:.2f}", *why]), pytrace=False)


@pytest.mark.parametrize("case", parameters(default_root()))
def test_the_runbook_does_right_by(case: Case) -> None:
    judge(case)
