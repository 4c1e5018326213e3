"""Whether a plan does what its diagnosis calls for: an action that is no remedy of the cause is a human's to allow."""

from __future__ import annotations

from graph.facts import Facts
from graph.kind import Cause
from graph.records import Plan, Resource


def beyond_remedies(plan: Plan, cause: Cause | None, resource: Resource, target: str | None, facts: Facts) -> str:
    """The first step whose action no remedy of the cause uses, with the reason that is given for it; else empty."""
    used = set() if cause is None else {action for remedy in cause.remedies for action in remedy.actions}
    for step in plan.steps:
        if step.action not in used and not (cause and _made_by(cause, step.action, resource, target, facts)):
            named = cause.name if cause else "no declared cause"
            return f"{step.action} is no declared remedy of {named}: {step.why or 'no reason is given'}"
    return ""


def _made_by(cause: Cause, action: str, resource: Resource, target: str | None, facts: Facts) -> bool:
    """Whether a remedy makes a step of this action here: a third party's kind may not list what its remedies use."""
    for remedy in cause.remedies:
        try:
            steps = remedy.steps(resource, target, facts)
        except Exception:  # a remedy whose steps can't be made speaks for no action
            continue
        if any(step.action == action for step in steps):
            return True
    return False
