"""Whether what would be done first is acceptable."""

from __future__ import annotations

from evals.results import Score
from evals.scorers.judged import Judged


def plan_fit(judged: Judged) -> Score:
    """1 where the plan's first action is an acceptable one and the gate did not refuse it."""
    expected = judged.case.expected
    if expected.ending != "repair":
        return Score(value=None, detail="nothing is to be mended")
    first = judged.steps[0].action if judged.steps else "no plan"
    refused = judged.run.gate is not None and judged.run.gate.decision == "refuse"
    detail = f"acceptable first: {' or '.join(expected.first_actions)}; planned: {first}"
    if refused and judged.run.gate is not None:
        detail += f"; the gate refused it: {judged.run.gate.reason}"
    return Score(value=float(first in expected.first_actions and not refused), detail=detail)
