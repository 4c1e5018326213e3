"""Whether what is cited exists and speaks for the cause: by the same proof that models must pass, whoever said it."""

from __future__ import annotations

from agents.reasoning.proof import Claim, Unproven, prove
from evals.results import Score
from evals.scorers.judged import Judged
from evals.target import incident_of
from graph.ports import DiagnosisRequest


def grounding(judged: Judged) -> Score:
    """1 where the proof holds. `unknown` needs none, but must not cite what does not exist."""
    diagnosis = judged.run.diagnosis
    if diagnosis is None:
        return Score(value=0.0, detail="no diagnosis was made")
    claim = Claim(diagnosis.suspected_cause, diagnosis.evidence_ids, diagnosis.target)
    try:
        prove(claim, DiagnosisRequest(incident_of(judged.case), judged.kind, judged.run.evidence))
    except Unproven as error:
        return Score(value=0.0, detail=str(error))
    return Score(
        value=1.0, detail=f"proven by {', '.join(diagnosis.evidence_ids) or 'nothing, and nothing is claimed'}"
    )
