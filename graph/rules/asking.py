"""What a human should know before saying yes: what is suspected, what would run, what it reaches, what undoes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graph.records import OnExpiry, PlanStep
from graph.state import Heal

MAX_EVIDENCE = 6
TEXT_CHARS = 300

RISK_IN_WORDS = {
    "read_only": "changes nothing",
    "low": "changes something, without interrupting what works",
    "disruptive": "interrupts what it touches for a moment",
    "destructive": "may lose what can't be brought back",
}
_UNANSWERED: dict[OnExpiry, str] = {
    "escalate": "nothing runs, and it is escalated to a human",
    "close": "nothing runs, and the incident is closed as declined",
}


def details(heal: Heal, touches: Sequence[tuple[str, ...]], seconds: float, on_expiry: OnExpiry) -> dict[str, Any]:
    """JSON beside the approval request. `touches`: for each step what it needs the lease of."""
    assert heal.diagnosis is not None and heal.plan is not None and heal.gate is not None, "asked only about a plan"
    diagnosis, plan = heal.diagnosis, heal.plan
    cited = [item for item in heal.evidence if item.id in diagnosis.evidence_ids][:MAX_EVIDENCE]
    return {
        "suspected_cause": diagnosis.suspected_cause,
        "summary": diagnosis.summary,
        "confidence": diagnosis.confidence,
        "author": diagnosis.author,
        "ruled_out": diagnosis.ruled_out,
        "evidence": [{"id": item.id, "source": item.source, "text": _clipped(item.text)} for item in cited],
        "steps": [_step(step, reached) for step, reached in zip(plan.steps, touches, strict=True)],
        "risk": plan.risk,
        "risk_means": RISK_IN_WORDS[plan.risk],
        "blast_radius": sorted({target for reached in touches for target in reached}),
        "undo": undoing(plan.steps),
        "if_unanswered": f"within {_minutes(seconds)}: {_UNANSWERED[on_expiry]}",
        "asked_because": heal.gate.reason,
        "attempt": heal.attempt,
    }


def undoing(steps: Sequence[PlanStep]) -> str:
    """What brings the world back where a plan does not help, in a sentence."""
    undone = [step.undo.rendered or step.undo.action for step in reversed(steps) if step.undo]
    lasting = [step.action for step in steps if step.undo is None and step.risk != "read_only"]
    if not undone:
        return f"nothing undoes {', '.join(lasting)}" if lasting else "there is nothing to undo"
    sentence = f"undone by: {'; then '.join(undone)}"
    return f"{sentence}; nothing undoes {', '.join(lasting)}" if lasting else sentence


def _step(step: PlanStep, touches: tuple[str, ...]) -> dict[str, Any]:
    told = step.model_dump(mode="json", include={"action", "params", "rendered", "risk", "why", "expect"})
    return {**told, "touches": list(touches), "undo": step.undo.rendered if step.undo else None}


def _clipped(text: str) -> str:
    return text if len(text) <= TEXT_CHARS else f"{text[: TEXT_CHARS - 1]}…"


def _minutes(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
