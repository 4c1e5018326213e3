"""An edited plan is held to the same as any: completed by the catalogue, or refused naming the step and the field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from graph.ports import InvalidStep, PermanentError, PlanRequest, TemporaryError
from graph.records import Plan, PlanStep, utc_now
from graph.rules.asking import RISK_IN_WORDS, undoing
from server.editable import choices, plan_request, step_models
from server.errors import ApiError, unavailable
from server.services import Runtime, Services
from server.settings_errors import path_text


async def edited_plan(
    services: Services, incident_id: str, steps: Sequence[PlanStep] | None, decision: str, by: str
) -> Plan | None:
    """The plan an edit stands for; None for other decisions, and where nothing waits (which the store will say)."""
    if decision != "edit":
        if steps is not None:
            raise ApiError(422, f"plan: goes with an edit, not with {decision}", "plan", "leave it out, or send edit")
        return None
    if steps is None:
        raise ApiError(
            422, "plan: an edit brings the steps wanted instead", "plan", "send {'steps': [{'action', 'params'}]}"
        )
    waiting = await services.store.waiting_plan(incident_id)
    if waiting is None:
        return None
    request, runtime = await _request(services, incident_id)
    completed = [await _completed(request, runtime, index, step) for index, step in enumerate(steps)]
    summary = f"{waiting.summary} (edited by {by})"
    return Plan(steps=tuple(completed), summary=summary, author=by, attempt=waiting.attempt, planned_at=utc_now())


async def previewed(services: Services, incident_id: str, steps: Sequence[PlanStep], by: str) -> dict[str, Any]:
    """What an edit would run: its steps rendered exactly, what they reach and what undoes them. Raises ApiError."""
    plan = await edited_plan(services, incident_id, steps, "edit", by)
    if plan is None:
        raise ApiError(409, "no plan waits for approval", remedy="read the incident again: its phase says what it is")
    request, runtime = await _request(services, incident_id)
    resource = request.incident.resource
    assert resource is not None, "only a declared resource is planned for"
    return {
        "plan_fingerprint": plan.plan_fingerprint,
        "steps": [step.model_dump(mode="json") for step in plan.steps],
        "risk": plan.risk,
        "risk_means": RISK_IN_WORDS[plan.risk],
        "blast_radius": sorted({key for step in plan.steps for key in runtime.actions.touches(resource, step)}),
        "undo": undoing(plan.steps),
    }


async def editable_plan(services: Services, incident_id: str) -> dict[str, Any]:
    """What may be made of the plan that waits (see `server.editable.choices`). Raises ApiError 409 where none does."""
    waiting = await services.store.waiting_plan(incident_id)
    if waiting is None:
        raise ApiError(409, "no plan waits for approval", remedy="read the incident again: its phase says what it is")
    request, runtime = await _request(services, incident_id)
    return await choices(request, waiting, runtime.actions)


async def _request(services: Services, incident_id: str) -> tuple[PlanRequest, Runtime]:
    incident, record = await services.store.record_of(incident_id), await services.store.incident(incident_id)
    kind = services.kinds.get(incident.resource_kind) if incident else None
    if incident is None or incident.resource is None or kind is None or record is None:
        raise ApiError(
            409, "the incident names no resource that could be acted on", remedy="declare it in selfheal.yaml"
        )
    if services.runtime is None:
        raise unavailable("the server is still starting")
    return plan_request(record, incident, kind, services.runtime.actions), services.runtime


async def _completed(request: PlanRequest, runtime: Runtime, index: int, step: PlanStep) -> PlanStep:
    at = f"plan.steps[{index}]"
    resource = request.incident.resource
    assert resource is not None, "only a declared resource is planned for"
    # Only what is asked for is taken from the sender: commands, risk and undo are the catalogue's to say.
    asked = PlanStep(action=step.action, params=step.params, why=step.why or "edited by hand", expect=step.expect)
    try:
        completed = await runtime.actions.complete(resource, request.kind, asked)
    except InvalidStep as error:
        field = error.field if error.field.startswith(("action", "params")) else f"params.{error.field}"
        raise ApiError(422, f"{at}.{field}: {error.message}", f"{at}.{field}", "correct the step") from error
    except TemporaryError as error:
        raise unavailable(f"{at} can't be checked now: {error}") from error
    except PermanentError as error:
        raise ApiError(422, f"{at}: {error}", at, "correct the step") from error
    _known_values(request, step, at)
    return completed


def _known_values(request: PlanRequest, step: PlanStep, at: str) -> None:
    """Raises ApiError 422 where a param names a unit, mount or process that is neither declared nor was seen."""
    model = step_models(request).get(step.action)
    try:
        if model is not None:
            model.model_validate(step.params)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = f"{at}.params.{path_text(first['loc'])}".rstrip(".")
        remedy = "use a value that is declared or was seen here: GET /api/incidents/{id}/editable lists them"
        raise ApiError(422, f"{field}: {first['msg']}", field, remedy) from error
