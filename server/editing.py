"""An edited plan is held to the same as any: completed by the catalogue, or refused naming the step and the field."""

from __future__ import annotations

from collections.abc import Sequence

from graph.ports import InvalidStep, PermanentError, TemporaryError
from graph.records import Plan, PlanStep, utc_now
from server.errors import ApiError, unavailable
from server.services import Services


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
    completed = [await _completed(services, incident_id, index, step) for index, step in enumerate(steps)]
    summary = f"{waiting.summary} (edited by {by})"
    return Plan(steps=tuple(completed), summary=summary, author=by, attempt=waiting.attempt, planned_at=utc_now())


async def _completed(services: Services, incident_id: str, index: int, step: PlanStep) -> PlanStep:
    at = f"plan.steps[{index}]"
    resource = await services.store.resource_of(incident_id)
    kind = services.kinds.get(resource.kind) if resource else None
    if resource is None or kind is None:
        raise ApiError(
            409, "the incident names no resource that could be acted on", remedy="declare it in selfheal.yaml"
        )
    if services.runtime is None:
        raise unavailable("the server is still starting")
    # Only what is asked for is taken from the sender: commands, risk and undo are the catalogue's to say.
    asked = PlanStep(action=step.action, params=step.params, why=step.why or "edited by hand", expect=step.expect)
    try:
        return await services.runtime.actions.complete(resource, kind, asked)
    except InvalidStep as error:
        field = error.field if error.field.startswith(("action", "params")) else f"params.{error.field}"
        raise ApiError(422, f"{at}.{field}: {error.message}", f"{at}.{field}", "correct the step") from error
    except TemporaryError as error:
        raise unavailable(f"{at} can't be checked now: {error}") from error
    except PermanentError as error:
        raise ApiError(422, f"{at}: {error}", at, "correct the step") from error
