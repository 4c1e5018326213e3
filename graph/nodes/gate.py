"""Decide whether the plan may run now: first safety of the fleet, then how much autonomy policy gives."""

from __future__ import annotations

from graph.nodes.hearing import heard
from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.records import Gate, IssueType, Wait
from graph.rules import policy, safety
from graph.state import Heal, Update


async def gate(heal: Heal, deps: Deps, leg: Leg) -> Update:
    resource, plan = heal.incident.resource, heal.plan
    assert resource is not None and plan is not None, "only a plan comes to the gate"
    fleet = await deps.fleet.view(resource)
    autonomy = policy.demoted(autonomy_of(heal, deps), fleet.demoted, issue_types_of(heal))
    verdict = policy.gate(plan, autonomy, heal.attempts, heal.approval)
    rehearsed = verdict.decision == "ask" and deps.settings.asks_in_dry_run
    if (deps.settings.dry_run or autonomy.dry_run) and not rehearsed:
        return {"gate": policy.dry(plan, verdict)}
    if verdict.decision == "refuse":
        return {"gate": verdict}
    verdict, silenced = await heard(heal, deps, plan, autonomy, verdict)
    early = silenced or safety.unripe(plan, fleet)
    if early is None and verdict.decision == "ask":
        return {"gate": verdict}
    if verdict.rule == "approved" and heal.approval is not None:
        await deps.chronicle.approved(heal.incident.id, heal.approval)
    approved, limit = verdict.rule == "approved", deps.settings.max_actions_per_hour
    held = early or safety.hold(plan, fleet, limit, deps.clock.now(), approved=approved)
    if held is None:
        return {"gate": verdict}
    waiting = Gate(
        decision="hold", rule=held.rule, reason=held.reason, until=held.until, plan_fingerprint=plan.plan_fingerprint
    )
    return {"gate": waiting, "wait": Wait(until=held.until, reason=held.reason, then="gate", rule=held.rule)}


def patience(heal: Heal, deps: Deps) -> float:
    """Seconds for which a human is waited for."""
    return autonomy_of(heal, deps).approval_timeout_seconds or deps.settings.approval_timeout_seconds


def autonomy_of(heal: Heal, deps: Deps) -> policy.Autonomy:
    """The strictest policy among what the alerts and the diagnosis say it is."""
    return policy.autonomy(deps.policies, heal.incident.resource_kind, issue_types_of(heal))


def issue_types_of(heal: Heal) -> set[IssueType]:
    """What the alerts and the diagnosis say it is."""
    issue_types = set(heal.incident.issue_types)
    if heal.diagnosis is not None and heal.diagnosis.issue_type != "unknown":
        issue_types.add(heal.diagnosis.issue_type)
    return issue_types
