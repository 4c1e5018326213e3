"""Which policy governs an incident, and how much it lets us do unasked. Default closed: no policy means ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from graph.records import RISKS, Approval, Attempt, Gate, IssueType, OnExpiry, Plan, Policy

DEFAULT_MAX_RETRIES = 3


@dataclass(frozen=True)
class Autonomy:
    """The strictest of the policies that apply. `why` names them."""

    auto_heal: bool
    max_retries: int
    allow_destructive: frozenset[str]
    why: str
    dry_run: bool = False
    approval_timeout_seconds: float | None = None
    on_expiry: OnExpiry = "escalate"
    heal_silenced: bool = False


def autonomy(policies: Sequence[Policy], resource_kind: str, issue_types: Iterable[IssueType]) -> Autonomy:
    """What may be done for these issue types (alerted and diagnosed): any that asks makes all ask."""
    wanted = sorted(set(issue_types) - {"unknown"}) or ["unknown"]
    found: list[Policy] = []
    for issue_type in wanted:
        policy = next((p for p in policies if (p.resource_kind, p.issue_type) == (resource_kind, issue_type)), None)
        if policy is None:
            why = f"no policy for ({resource_kind}, {issue_type}): ask"
            retries = min((p.max_retries for p in found), default=DEFAULT_MAX_RETRIES)
            return Autonomy(False, retries, frozenset(), why, any(policy.dry_run for policy in found))
        found.append(policy)
    allowed = frozenset.intersection(*(frozenset(policy.allow_destructive) for policy in found))
    auto = all(policy.auto_heal for policy in found)
    named = ", ".join(f"({policy.resource_kind}, {policy.issue_type})" for policy in found)
    return Autonomy(
        auto_heal=auto,
        max_retries=min(policy.max_retries for policy in found),
        allow_destructive=allowed,
        why=f"policy {named}: auto_heal {str(auto).lower()}",
        dry_run=any(policy.dry_run for policy in found),
        approval_timeout_seconds=min(
            (p.approval_timeout_seconds for p in found if p.approval_timeout_seconds), default=None
        ),
        heal_silenced=all(policy.heal_silenced for policy in found),
        on_expiry="close" if all(policy.on_expiry == "close" for policy in found) else "escalate",
    )


def demoted(autonomy: Autonomy, demotions: Mapping[str, str], issue_types: Iterable[str]) -> Autonomy:
    """What is left of it where a repair of one of these issue types has gone wrong: a human is asked."""
    why = next((demotions[issue_type] for issue_type in sorted(issue_types) if issue_type in demotions), None)
    if why is None or not autonomy.auto_heal:
        return autonomy
    return replace(autonomy, auto_heal=False, allow_destructive=frozenset(), why=why)


def attempts_made(attempts: Iterable[Attempt]) -> int:
    """Attempts that count: those of which an action started. Rejections, holds and crash replays don't."""
    return sum(attempt.counts for attempt in attempts)


def gate(plan: Plan, autonomy: Autonomy, attempts: Sequence[Attempt], approval: Approval | None) -> Gate:
    """Whether a plan may run now, must be asked for, or must not run, as far as policy is concerned."""
    fingerprint = plan.plan_fingerprint
    made = attempts_made(attempts)
    if made >= autonomy.max_retries:
        reason = f"{made} of {autonomy.max_retries} attempts used" if autonomy.max_retries else "max_retries is 0"
        return Gate(decision="refuse", rule="max_retries", reason=f"{reason}: never acts", plan_fingerprint=fingerprint)
    if approval and approval.decision in ("approve", "edit") and approval.plan_fingerprint == fingerprint:
        reason = f"approved by {approval.by}" + (" as edited" if approval.decision == "edit" else "")
        return Gate(decision="run", rule="approved", reason=reason, plan_fingerprint=fingerprint)
    if not autonomy.auto_heal:
        return Gate(decision="ask", rule="policy", reason=autonomy.why, plan_fingerprint=fingerprint)
    if plan.beyond_remedies:
        return Gate(decision="ask", rule="no_remedy", reason=plan.beyond_remedies, plan_fingerprint=fingerprint)
    for step in plan.steps:
        if RISKS.index(step.risk) >= RISKS.index("destructive") and step.action not in autonomy.allow_destructive:
            reason = f"{step.action} is destructive and no policy names it"
            return Gate(decision="ask", rule="destructive", reason=reason, plan_fingerprint=fingerprint)
    return Gate(decision="run", rule="policy", reason=autonomy.why, plan_fingerprint=fingerprint)


def dry(plan: Plan, verdict: Gate) -> Gate:
    """The gate of a dry run: nothing runs and nobody is asked, but it says what would have been done."""
    if verdict.decision == "refuse":
        return verdict
    steps = "; ".join(step.rendered for step in plan.steps)
    would = f"would run: {steps}" if verdict.decision == "run" else f"would ask ({verdict.reason}) to run: {steps}"
    reason = f"dry run, nothing was touched; {would}"
    return verdict.model_copy(update={"decision": "refuse", "rule": "dry_run", "reason": reason})
