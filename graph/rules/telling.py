"""What each node did, in words an operator understands: the sentences of the timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graph.reasoning import Inquiry
from graph.records import ActionResult, Approval, Diagnosis, Evidence, Gate, Outcome, Plan, Stop, Verification
from graph.state import Heal

SELF = "self-heal"


@dataclass(frozen=True)
class Telling:
    """One sentence with its author. `key` makes later tellings of the same thing replace earlier ones."""

    sentence: str
    author: str = SELF
    key: str | None = None


def telling(node: str, heal: Heal, update: dict[str, Any]) -> Telling | None:
    """What to tell of a node's update, or None where there is nothing to tell."""
    if stop := update.get("stop"):
        return _stop(stop)
    match node:
        case "gather_context":
            return Telling(_evidence(update["evidence"]))
        case "diagnose":
            return _asks(update["inquiries"]) if update["diagnosis"] is None else _diagnosis(update["diagnosis"])
        case "investigate":
            return _investigated(heal, update)
        case "plan":
            return _plan(update["plan"])
        case "gate":
            return _gate(heal, update["gate"])
        case "approve":
            return _approval(update.get("approval"))
        case "execute" | "rollback":
            return _results(heal, update)
        case "verify":
            return _verification(heal, update["verification"])
        case "retry":
            last = update["attempts"][-1]
            return Telling(f"attempt {last.number} ({', '.join(last.actions)}) ended: {last.why_ended}")
        case "escalate":
            return Telling(f"escalated to a human: {update['outcome'].reason}")
        case "close":
            return _outcome(update["outcome"])
    return None


def _stop(stop: Stop) -> Telling:
    return Telling(f"stopped: {stop.reason}", stop.by or SELF)


def _evidence(evidence: tuple[Evidence, ...]) -> str:
    failed = [f"{item.source} ({item.text})" for item in evidence if item.status == "failed"]
    empty = [item.source for item in evidence if item.status == "no_data"]
    facts = sum(len(item.facts) for item in evidence)
    sentence = f"asked {len(evidence)} sources, got {facts} facts"
    if empty:
        sentence += f"; nothing from {', '.join(empty)}"
    return sentence + (f"; failed: {'; '.join(failed)}" if failed else "")


def _diagnosis(diagnosis: Diagnosis) -> Telling:
    cited = f" [{', '.join(diagnosis.evidence_ids)}]" if diagnosis.evidence_ids else ""
    against = f"; {diagnosis.contradicts}" if diagnosis.contradicts else ""
    sentence = f"suspects {diagnosis.suspected_cause}: {diagnosis.summary}{cited}{against}"
    return Telling(sentence, diagnosis.author or SELF)


def _asks(inquiries: tuple[Inquiry, ...]) -> Telling:
    waiting = [inquiry for inquiry in inquiries if not inquiry.evidence_id]
    return Telling(f"wants to see more first: {'; '.join(_question(inquiry) for inquiry in waiting)}")


def _question(inquiry: Inquiry) -> str:
    params = ", ".join(f"{name}={value}" for name, value in inquiry.params.items())
    return f"{inquiry.tool}({params})" + (f", as {inquiry.why}" if inquiry.why else "")


def _investigated(heal: Heal, update: dict[str, Any]) -> Telling:
    answered = next(
        new for old, new in zip(heal.inquiries, update["inquiries"], strict=True) if new.evidence_id != old.evidence_id
    )
    if answered.repeated:
        return Telling(f"{_question(answered)} was asked before: {answered.evidence_id} answers it")
    evidence: Evidence = update["evidence"][-1]
    said = {"observed": "answered", "no_data": "had nothing", "failed": "failed"}[evidence.status]
    return Telling(f"{_question(answered)} {said}: {evidence.text} [{evidence.id}]")


def _plan(plan: Plan) -> Telling:
    if not plan.steps:
        return Telling(f"no repair to offer: {plan.summary}", plan.author or SELF)
    steps = ", then ".join(step.rendered or step.action for step in plan.steps)
    return Telling(f"plans ({plan.risk}): {steps}", plan.author or SELF)


def _gate(heal: Heal, gate: Gate) -> Telling:
    """What holds for hours is told once, as it was last seen."""
    words = {"run": "may run", "ask": "asks a human", "hold": "holds", "refuse": "must not run"}
    key = f"hold:{heal.attempt}:{gate.rule}" if gate.decision == "hold" else None
    return Telling(f"{words[gate.decision]}: {gate.reason}", key=key)


def _approval(approval: Approval | None) -> Telling:
    if approval is None:
        return Telling("the answer could not be read; asking again")
    comment = f": {approval.comment}" if approval.comment else ""
    after = "; another plan is wanted" if approval.wants_another else ""
    return Telling(f"{approval.decision} of plan {approval.plan_fingerprint}{comment}{after}", approval.by)


def _results(heal: Heal, update: dict[str, Any]) -> Telling | None:
    if "results" not in update:
        return None
    result: ActionResult = update["results"][-1]
    word = "undo " if result.undo else ""
    state = "waits" if result.status == "pending" else result.status
    proven = " (found out after a crash)" if result.proven_by_probe else ""
    line = result.output.strip().splitlines()[0] if result.output.strip() else ""
    sentence = f"{word}{result.action} {state}{proven}: {line}" if line else f"{word}{result.action} {state}{proven}"
    return Telling(sentence, key=f"step:{result.idempotency_key}")


def _verification(heal: Heal, verification: Verification) -> Telling:
    words = {"healthy": "seen healthy", "pending": "not yet", "unhealthy": "not healthy", "unknown": "can't tell"}
    sentence = f"{words[verification.status]}: {verification.reason}"
    return Telling(sentence, key=f"verify:{heal.attempt}")


def _outcome(outcome: Outcome) -> Telling:
    return Telling(f"{outcome.status}: {outcome.reason}", key="outcome")
