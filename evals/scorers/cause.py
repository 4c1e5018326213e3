"""Whether the right cause was named: exactly, and by its family (trouble of the same type)."""

from __future__ import annotations

from evals.results import Score
from evals.scorers.judged import Judged


def exact(judged: Judged) -> Score:
    """1 where one of the accepted causes is suspected."""
    accepted = judged.case.expected.accepted_causes
    return Score(value=float(judged.correct), detail=f"accepted: {' or '.join(accepted)}; suspected: {_said(judged)}")


def family(judged: Judged) -> Score:
    """1 where the suspected cause is of the issue type of an accepted one."""
    wanted = sorted({judged.family(cause) for cause in judged.case.expected.accepted_causes})
    found = judged.family(judged.cause)
    right = judged.run.diagnosis is not None and found in wanted
    return Score(value=float(right), detail=f"accepted: {' or '.join(wanted)}; suspected: {found}")


def _said(judged: Judged) -> str:
    return judged.cause if judged.run.diagnosis else "no diagnosis was made"
