"""Turn a diagnosis into a plan of declared actions, each checked against the catalogue and rendered exactly."""

from __future__ import annotations

from dataclasses import replace

from graph.nodes.reading import with_whole_texts
from graph.nodes.wrapper import Leg
from graph.ports import Deps, InvalidStep, PlanRequest
from graph.records import Plan, PlanStep, Resource, facts_of
from graph.rules.remedies import beyond_remedies
from graph.state import Heal, Update

MAX_OBJECTIONS = 4


async def plan(heal: Heal, deps: Deps, leg: Leg) -> Update:
    """The reasoner's plan, or the human's edited one. A plan turned down goes back with the objection."""
    resource = heal.incident.resource
    assert resource is not None and heal.diagnosis is not None, "only placed and diagnosed heals are planned"
    if heal.approval is not None and heal.approval.decision == "edit":
        return await _edited(heal, deps, resource)
    specs = deps.actions.specs(deps.kind)
    evidence = await with_whole_texts(heal, deps)
    request = PlanRequest(heal.incident, deps.kind, evidence, heal.diagnosis, heal.attempts, specs)
    spent = {attempt.plan_fingerprint: attempt for attempt in heal.attempts if attempt.spent}
    while len(request.objections) < MAX_OBJECTIONS:
        draft = await deps.reasoner.plan(request)
        completed, objection = await _complete(draft, deps, resource)
        if completed is not None and completed.plan_fingerprint in spent and completed.steps:
            earlier = spent[completed.plan_fingerprint]
            was = earlier.why_ended if earlier.rejected else "ran"
            objection = f"this very plan was attempt {earlier.number}, which {was}; propose another"
        if completed is not None and objection is None:
            cause, facts = deps.kind.cause(heal.diagnosis.suspected_cause), facts_of(heal.evidence)
            beyond = beyond_remedies(completed, cause, resource, heal.diagnosis.target, facts)
            update = {"attempt": heal.attempt, "planned_at": deps.clock.now(), "beyond_remedies": beyond}
            return {"plan": completed.model_copy(update=update), "approval": None}
        request = replace(request, objections=(*request.objections, objection or ""))
    summary = f"no acceptable plan: {request.objections[-1]}"
    none = Plan(steps=(), summary=summary, author=deps.reasoner.name, attempt=heal.attempt, planned_at=deps.clock.now())
    return {"plan": none, "approval": None}


async def _complete(draft: Plan, deps: Deps, resource: Resource) -> tuple[Plan | None, str | None]:
    steps: list[PlanStep] = []
    for step in draft.steps:
        try:
            steps.append(await deps.actions.complete(resource, deps.kind, step))
        except InvalidStep as error:
            return None, str(error)
    return draft.model_copy(update={"steps": tuple(steps)}), None


async def _edited(heal: Heal, deps: Deps, resource: Resource) -> Update:
    """A human's steps are validated like any other; where they don't hold, the plan asked about is asked again."""
    assert heal.approval is not None and heal.plan is not None
    draft = heal.plan.model_copy(update={"steps": heal.approval.steps, "author": heal.approval.by})
    completed, objection = await _complete(draft, deps, resource)
    if completed is None:
        summary = f"the edit by {heal.approval.by} was turned down: {objection}"
        return {"plan": heal.plan.model_copy(update={"summary": summary}), "approval": None}
    update = {"summary": f"edited by {heal.approval.by}", "planned_at": deps.clock.now()}
    completed = completed.model_copy(update=update)
    approval = heal.approval.model_copy(update={"plan_fingerprint": completed.plan_fingerprint})
    return {"plan": completed, "approval": approval}
