"""Ask the reasoner what is wrong; it may want to see more first. Only declared causes count, else it is `unknown`."""

from __future__ import annotations

from datetime import timedelta

from graph.kind import NO_FAULT, UNKNOWN_CAUSE
from graph.nodes.reading import with_whole_texts
from graph.nodes.wrapper import Leg
from graph.ports import Asks, Deps, DiagnosisRequest
from graph.records import Diagnosis, Wait
from graph.rules.classify import contradiction
from graph.rules.inquiries import left_of
from graph.state import Heal, Update


async def diagnose(heal: Heal, deps: Deps, leg: Leg) -> Update:
    """A diagnosis, or the questions that `investigate` answers before this comes again."""
    left = left_of(deps.settings.inquiries, heal.inquiries, heal.evidence)
    tools = deps.inquiries.specs(heal.incident) if deps.inquiries is not None and left.calls else ()
    request = DiagnosisRequest(
        heal.incident,
        deps.kind,
        await with_whole_texts(heal, deps),
        heal.attempts,
        heal.inquiries,
        tools,
        left,
    )
    answer = await deps.reasoner.diagnose(request)
    if not isinstance(answer, Asks):
        return _settled(answer, heal, deps)
    names = {tool.name for tool in tools}
    asks = tuple(inquiry for inquiry in answer.inquiries if inquiry.tool in names)[: left.calls]
    if asks:
        return {"inquiries": (*heal.inquiries, *asks), "diagnosis": None, "wait": None}
    summary = "the reasoner asked for more than it may, and gave no diagnosis"
    return _settled(
        Diagnosis(suspected_cause=UNKNOWN_CAUSE, summary=summary, confidence=0, author=deps.reasoner.name), heal, deps
    )


def _settled(diagnosis: Diagnosis, heal: Heal, deps: Deps) -> Update:
    if (
        diagnosis.suspected_cause not in (UNKNOWN_CAUSE, NO_FAULT)
        and deps.kind.cause(diagnosis.suspected_cause) is None
    ):
        summary = f"{diagnosis.suspected_cause!r} is no declared cause of {deps.kind.name}: {diagnosis.summary}"
        diagnosis = diagnosis.model_copy(update={"suspected_cause": UNKNOWN_CAUSE, "summary": summary})
    update: Update = {"diagnosed_at": deps.clock.now(), "contradicts": contradiction(heal.incident, diagnosis)}
    if silent := _silent(heal, deps, diagnosis):
        update["summary"] = f"{diagnosis.summary}; not told from others by {', '.join(silent)}, which did not answer"
    looks = heal.looks + 1
    found = {"diagnosis": diagnosis.model_copy(update=update), "looks": looks, "verification": None, "wait": None}
    if (
        (why := _why_again(heal, deps, diagnosis))
        and heal.incident.resource is not None
        and looks < deps.settings.looks
    ):
        again = deps.clock.now() + timedelta(seconds=deps.settings.look_again_seconds)
        found["wait"] = Wait(until=again, reason=f"{why}: looking again", then="gather_context")
    return found


def _why_again(heal: Heal, deps: Deps, diagnosis: Diagnosis) -> str:
    """Why another look may tell more, or nothing."""
    if diagnosis.suspected_cause == UNKNOWN_CAUSE:
        return "nothing explains it yet"
    silent = _silent(heal, deps, diagnosis)
    return f"{', '.join(silent)} did not answer and could show another cause" if silent else ""


def _silent(heal: Heal, deps: Deps, diagnosis: Diagnosis) -> list[str]:
    """Sources that failed and could tell the suspected cause from others."""
    cause = deps.kind.cause(diagnosis.suspected_cause)
    wanted = cause.told_apart_by if cause else ()
    return [item.source for item in heal.evidence if item.status == "failed" and item.source in wanted]
