"""How a heal ended, with its times: the last thing an incident is told."""

from __future__ import annotations

from datetime import datetime

from graph.records import Outcome, Times
from graph.rules.escalation import rejection
from graph.rules.policy import attempts_made
from graph.state import Heal


def outcome(heal: Heal, now: datetime) -> Outcome:
    """The outcome of a heal that has come to `close`: escalate has written its own already."""
    ended = heal.outcome or _unescalated(heal)
    attempts = attempts_made(heal.attempts) + (1 if heal.acted else 0)
    return ended.model_copy(update={"attempts": attempts, "times": times(heal, now)})


def _unescalated(heal: Heal) -> Outcome:
    if heal.stop is not None:
        if heal.stop.rule in ("cancelled", "taken_over"):
            ran = [result.action for result in heal.results if result.started_at]
            after = f", after {', '.join(ran)} had run; its effect was not verified" if ran else ", before anything ran"
            if heal.stop.rule == "taken_over":
                return Outcome(status="escalated", rule="taken_over", reason=f"{heal.stop.reason}{after}")
            return Outcome(status="declined", rule="cancelled", reason=f"{heal.stop.reason}{after}")
        return Outcome(status="self_resolved", rule=heal.stop.rule, reason=heal.stop.reason)
    approval = heal.approval
    if approval is not None and approval.decision == "reject":
        return Outcome(status="declined", rule="rejected", reason=rejection(approval))
    if approval is not None and approval.decision == "expired":
        reason = f"nobody decided in time, and policy closes it then: {approval.comment}"
        return Outcome(status="declined", rule="approval_expired", reason=reason)
    if approval is not None and approval.decision == "withdrawn":
        return Outcome(status="self_resolved", rule="alerts_resolved", reason=approval.comment or "the alerts resolved")
    if heal.gate is not None and heal.gate.rule == "dry_run":
        return Outcome(status="declined", rule="dry_run", reason=heal.gate.reason)
    if heal.verification is not None and heal.verification.status == "healthy":
        seen = heal.verification.reason
        if heal.acted or any(attempt.acted for attempt in heal.attempts):
            return Outcome(status="mitigated", rule="verified", reason=seen)
        return Outcome(status="self_resolved", rule="no_fault", reason=f"nothing was done: {seen}")
    return Outcome(status="escalated", rule="no_verdict", reason="the heal ended without a verdict")


def times(heal: Heal, now: datetime) -> Times:
    """When what happened."""
    started = [attempt.first_action_at for attempt in heal.attempts if attempt.first_action_at]
    started += [result.started_at for result in heal.results if result.started_at]
    verified = heal.verification if heal.verification and heal.verification.status == "healthy" else None
    return Times(
        fired=heal.incident.fired_at,
        received=heal.incident.received_at,
        diagnosed=heal.diagnosis.diagnosed_at if heal.diagnosis else None,
        approved=heal.approval.at if heal.approval and heal.approval.decision in ("approve", "edit") else None,
        first_action=min(started, default=None),
        verified=verified.observed_at if verified else None,
        closed=now,
    )
