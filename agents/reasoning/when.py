"""When a model is worth its call: with `when: unknown_only`, what the declared signatures settle is not asked."""

from __future__ import annotations

from agents.reasoning.runbook import AMBIGUOUS_WITHIN, AUTHOR, rank
from graph.ports import Asks, DiagnosisRequest, PlanRequest, Reasoner
from graph.records import Diagnosis, Plan, facts_of

CERTAIN = 0.8
"""The least score of a signature that settles the cause, where no other explains the facts nearly as well."""


class UnknownOnly:
    """The runbook where it is certain, the model elsewhere; whoever diagnosed also plans."""

    def __init__(self, model: Reasoner, runbook: Reasoner) -> None:
        self.name = model.name
        self._model = model
        self._runbook = runbook

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis | Asks:
        return await (self._runbook if settled(request) else self._model).diagnose(request)

    async def plan(self, request: PlanRequest) -> Plan:
        return await (self._runbook if request.diagnosis.author == AUTHOR else self._model).plan(request)


def settled(request: DiagnosisRequest) -> bool:
    """Whether the facts speak for one cause, clearly, and no earlier attempt at it has failed."""
    if request.incident.resource is None:
        return True  # nothing can be known or done, whoever is asked
    candidates, broken = rank(request.kind, facts_of(request.evidence), request.incident)
    if not candidates or broken or candidates[0].match.score < CERTAIN:
        return False
    best, *others = candidates
    if any(round(best.rank - other.rank, 6) <= AMBIGUOUS_WITHIN for other in others):
        return False
    return not any(attempt.spent and attempt.suspected_cause == best.name for attempt in request.attempts)
