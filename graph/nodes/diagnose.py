"""Ask the reasoner what is wrong. Only declared causes count; anything else is `unknown`."""

from __future__ import annotations

from graph.kind import NO_FAULT, UNKNOWN_CAUSE
from graph.nodes.wrapper import Leg
from graph.ports import Deps, DiagnosisRequest
from graph.rules.classify import contradiction
from graph.state import Heal, Update


async def diagnose(heal: Heal, deps: Deps, leg: Leg) -> Update:
    request = DiagnosisRequest(heal.incident, deps.kind, heal.evidence, heal.attempts)
    diagnosis = await deps.reasoner.diagnose(request)
    if (
        diagnosis.suspected_cause not in (UNKNOWN_CAUSE, NO_FAULT)
        and deps.kind.cause(diagnosis.suspected_cause) is None
    ):
        summary = f"{diagnosis.suspected_cause!r} is no declared cause of {deps.kind.name}: {diagnosis.summary}"
        diagnosis = diagnosis.model_copy(update={"suspected_cause": UNKNOWN_CAUSE, "summary": summary})
    update = {"diagnosed_at": deps.clock.now(), "contradicts": contradiction(heal.incident, diagnosis)}
    return {"diagnosis": diagnosis.model_copy(update=update)}
