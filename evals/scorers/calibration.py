"""Whether confidence means anything: Brier's score, turned round so that 1 is best."""

from __future__ import annotations

from evals.results import Score
from evals.scorers.judged import Judged
from graph.kind import UNKNOWN_CAUSE


def calibration(judged: Judged) -> Score:
    """1 - (confidence - correct)². Of `unknown` nothing is scored: it claims nothing to be confident of."""
    diagnosis = judged.run.diagnosis
    if diagnosis is None or diagnosis.suspected_cause == UNKNOWN_CAUSE:
        return Score(value=None, detail="no cause is claimed")
    brier = (diagnosis.confidence - float(judged.correct)) ** 2
    came = "right" if judged.correct else "wrong"
    return Score(value=round(1 - brier, 6), detail=f"confidence {diagnosis.confidence:.2f}, {came}: Brier {brier:.4f}")
