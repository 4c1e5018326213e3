"""Wait for a human: the interrupt and nothing else, as an interrupted node runs again from its top."""

from __future__ import annotations

from langgraph.types import interrupt

from graph.nodes.gate import autonomy_of, patience
from graph.nodes.wrapper import Leg
from graph.ports import Deps, InvalidStep, PermanentError
from graph.records import PlanStep, Resource
from graph.rules.approval import InvalidAnswer, approval_request, read_answer
from graph.rules.asking import details
from graph.state import Heal, Update


async def approve(heal: Heal, deps: Deps, leg: Leg) -> Update:
    assert heal.plan is not None and heal.gate is not None and heal.diagnosis is not None, "asked only about a plan"
    resource = heal.incident.resource
    assert resource is not None, "only a declared resource is planned for"
    touches = [_reached(deps, resource, step) for step in heal.plan.steps]
    told = details(heal, touches, patience(heal, deps), autonomy_of(heal, deps).on_expiry)
    answer = interrupt(approval_request(heal.incident, heal.diagnosis, heal.plan, heal.gate) | {"details": told})
    try:
        approval = read_answer(answer, heal.plan.plan_fingerprint, deps.settings.decider, deps.clock.now())
    except InvalidAnswer as error:
        reason = f"{heal.gate.reason}. The last answer could not be read: {error}"
        return {"approval": None, "gate": heal.gate.model_copy(update={"reason": reason[:500]})}
    return {"approval": approval}


def _reached(deps: Deps, resource: Resource, step: PlanStep) -> tuple[str, ...]:
    """What the step touches. One that no longer fits its resource is turned down when it would run, not here."""
    try:
        return deps.actions.touches(resource, step)
    except (InvalidStep, PermanentError):
        return ()
