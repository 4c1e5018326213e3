"""Whether a plan does what its diagnosis calls for: an action that is no remedy of the cause is a human's to allow."""

from __future__ import annotations

from graph.facts import Facts
from graph.kind import Cause
from graph.records import Plan, Resource


def actions_of(cause: Cause | None, resource: Resource | None, target: str | None, facts: Facts) -> frozenset[str]:
    """What the cause's remedies use: what they list, and what they make here, as a third party's may list nothing."""
    used: set[str] = set()
    for remedy in cause.remedies if cause else ():
        used |= set(remedy.actions)
        if resource is None:
            continue
        try:
            used |= {step.action for step in remedy.steps(resource, target, facts)}
        except Exception:  # a remedy whose steps can't be made speaks for no more than it lists
            continue
    return frozenset(used)


def beyond_remedies(plan: Plan, cause: Cause | None, resource: Resource, target: str | None, facts: Facts) -> str:
    """The first step whose action no remedy of the cause uses, with the reason that is given for it; else empty."""
    used = actions_of(cause, resource, target, facts)
    for step in plan.steps:
        if step.action not in used:
            named = cause.name if cause else "no declared cause"
            return f"{step.action} is no declared remedy of {named}: {step.why or 'no reason is given'}"
    return ""
