"""Ask the reasoner what is wrong. Only declared causes count; anything else is `unknown`."""

from __future__ import annotations

from datetime import timedelta

from graph.kind import NO_FAULT, UNKNOWN_CAUSE
from graph.nodes.wrapper import Leg
from graph.ports import Deps, DiagnosisRequest
from graph.records import Wait
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
    looks = heal.looks + 1
    found = {"diagnosis": diagnosis.model_copy(update=update), "looks": looks, "verification": None, "wait": None}
    if (
        diagnosis.suspected_cause == UNKNOWN_CAUSE
        and heal.incident.resource is not None
        and looks < deps.settings.looks
    ):
        again = deps.clock.now() + timedelta(seconds=deps.settings.look_again_seconds)
        found["wait"] = Wait(until=again, reason="nothing explains it yet: looking again", then="gather_context")
    return found
