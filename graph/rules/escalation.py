"""What follows a failed attempt: another one, or a human. The reason is in the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graph.records import ActionResult, Approval, Attempt, Diagnosis, Gate, Plan, Verification
from graph.rules.policy import Autonomy, attempts_made

MAX_EMPTY_ATTEMPTS = 3


@dataclass(frozen=True)
class Retry:
    reason: str


@dataclass(frozen=True)
class Escalate:
    reason: str
    rule: str


def next_move(attempts: Sequence[Attempt], autonomy: Autonomy) -> Retry | Escalate:
    """Whether another attempt may follow, given all that were made."""
    last = attempts[-1]
    made = attempts_made(attempts)
    if made >= autonomy.max_retries:
        reason = f"{made} of {autonomy.max_retries} attempts made without success; the last: {last.why_ended}"
        return Escalate(reason, "max_retries")
    empty = sum(not attempt.acted and not attempt.forgiven and not attempt.rejected for attempt in attempts)
    if empty >= MAX_EMPTY_ATTEMPTS:
        return Escalate(f"{empty} plans could not be started: {last.why_ended}", "no_progress")
    return Retry(f"attempt {last.number} ended: {last.why_ended}")


def rejection(approval: Approval) -> str:
    """What a human said to a plan they did not want."""
    return f"rejected by {approval.by}" + (f": {approval.comment}" if approval.comment else "")


def why_attempt_failed(results: Sequence[ActionResult], verification: Verification | None) -> str:
    """The one sentence that the next attempt should know."""
    for result in results:
        if result.status in ("failed", "refused") and not result.undo:
            return f"{result.action} {result.status}: {_first_line(result.output)}"
    if verification is not None:
        return verification.reason
    return "nothing was verified"


def cannot_continue(results: Sequence[ActionResult], verification: Verification | None) -> Escalate | None:
    """What no retry may paper over: an effect that can't be proven, an undo that failed, health that can't be seen."""
    for result in results:
        if result.status == "unknown":
            reason = f"{result.action} may or may not have happened: {_first_line(result.output)}"
            return Escalate(reason, "effect_unknown")
        if result.undo and result.status == "failed":
            return Escalate(f"undoing failed: {result.action}: {_first_line(result.output)}", "rollback_failed")
        if result.rule == "lease_lost":
            return Escalate(result.output, "lease_lost")
    if verification is not None and verification.made_worse:
        undone = [result.action for result in results if result.undo and result.status == "succeeded"]
        after = f"; undone by {', '.join(undone)}" if undone else "; nothing undoes it"
        return Escalate(f"the repair made things worse: {verification.made_worse}{after}", "made_worse")
    if verification is not None and verification.status == "unknown":
        return Escalate(verification.reason, "health_unknown")
    return None


def why_escalate(
    diagnosis: Diagnosis | None,
    plan: Plan | None,
    gate: Gate | None,
    approval: Approval | None,
    verification: Verification | None,
) -> Escalate:
    """Why a heal that never got to an attempt needs a human."""
    if approval is not None and approval.decision == "expired":
        return Escalate(f"nobody decided in time: {approval.comment}", "approval_expired")
    if gate is not None and gate.decision == "refuse":
        return Escalate(gate.reason, gate.rule)
    if plan is not None and not plan.steps:
        return Escalate(plan.summary, "no_remedy")
    if diagnosis is not None and diagnosis.suspected_cause == "no_fault":
        seen = verification.reason if verification else "not verified"
        return Escalate(f"no fault found, yet not healthy: {seen}", "no_fault_but_firing")
    if diagnosis is not None:
        return Escalate(diagnosis.summary, "cause_unknown")
    return Escalate("no diagnosis was reached", "cause_unknown")


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else "no output"
