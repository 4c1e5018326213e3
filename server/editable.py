"""What a human may make of a waiting plan: the actions there are, with the values that are possible on its resource."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel

from agents.reasoning.plan_answers import params_by_action
from graph.kind import UNKNOWN_CAUSE, ResourceKind
from graph.ports import Actions, PermanentError, PlanRequest, TemporaryError
from graph.records import Attempt, Diagnosis, Evidence, Incident, Plan, PlanStep, facts_of

log = logging.getLogger("selfheal.http")


def plan_request(record: dict[str, Any], incident: Incident, kind: ResourceKind, actions: Actions) -> PlanRequest:
    """What a planner was told of the incident in this record."""
    evidence = tuple(Evidence.model_validate(item) for item in record["evidence"] or ())
    undiagnosed = {"suspected_cause": UNKNOWN_CAUSE, "summary": "not diagnosed", "confidence": 0}
    diagnosis = Diagnosis.model_validate(record["diagnosis"] or undiagnosed)
    attempts = tuple(Attempt.model_validate(item) for item in record["attempts"])
    return PlanRequest(incident, kind, evidence, diagnosis, attempts, actions.specs(kind))


def step_models(request: PlanRequest) -> dict[str, type[BaseModel]]:
    """Action → the params it may have here."""
    return params_by_action(request)


async def choices(request: PlanRequest, plan: Plan, actions: Actions) -> dict[str, Any]:
    """The steps that wait, the actions that may take their place, and the cause's other remedies."""
    models = step_models(request)
    return {
        "plan_fingerprint": plan.plan_fingerprint,
        "steps": [step.model_dump(mode="json", exclude={"undo"}) for step in plan.steps],
        "actions": [
            {
                "name": spec.name,
                "summary": spec.summary,
                "risk": spec.risk,
                "params": models[spec.name].model_json_schema(),
            }
            for spec in request.actions
        ],
        "remedies": [remedy async for remedy in _remedies(request, plan, actions)],
    }


async def _remedies(request: PlanRequest, plan: Plan, actions: Actions) -> AsyncIterator[dict[str, Any]]:
    """The declared remedies that make steps here, other than the plan that waits."""
    diagnosis, resource = request.diagnosis, request.incident.resource
    cause = request.kind.cause(diagnosis.suspected_cause)
    for remedy in cause.remedies if cause and resource else ():
        assert resource is not None
        try:
            drafts = remedy.steps(resource, diagnosis.target, facts_of(request.evidence))
            steps = [await actions.complete(resource, request.kind, step) for step in drafts]
        except (PermanentError, TemporaryError) as error:
            log.info("remedy %s can't be offered: %s", remedy.name, error)
            continue
        except Exception:  # a kind may be a third party's: its bug must not hide the other remedies
            log.exception("the steps of remedy %s raised", remedy.name)
            continue
        if steps and Plan(steps=tuple(steps), summary="").plan_fingerprint != plan.plan_fingerprint:
            yield {"name": remedy.name, "summary": remedy.summary, "steps": [_step(step) for step in steps]}


def _step(step: PlanStep) -> dict[str, Any]:
    return step.model_dump(mode="json", include={"action", "params", "why", "rendered", "risk"})
