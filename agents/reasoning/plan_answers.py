"""The shape of a model's plan: the declared remedies' actions with the values that are possible here, and the other
permitted actions for which it has to say why no remedy serves.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

from agents.reasoning.answers import STEP_TEXT_CHARS, Answered, InvalidAnswer, one_of, problems_of, validated
from agents.reasoning.possible import Values, possible_values
from agents.reasoning.runbook import SUMMARY_CHARS
from agents.reasoning.text import clip
from graph.kind import ActionSpec
from graph.ports import PlanRequest
from graph.records import Plan, PlanStep, facts_of
from graph.rules.remedies import actions_of

MAX_STEPS = 6


class StepAnswer(Answered):
    """One step, as a model answers it. `plan_answer` makes one of it for each remedy's action, and one for the rest."""

    action: str
    params: Any = Field(default_factory=dict)
    why: str = Field(min_length=1)
    expect: str = ""


class PlanAnswer(Answered):
    """What to do, as a model answers it; no steps where nothing declared would help."""

    summary: str = Field(min_length=1)
    steps: list[StepAnswer] = Field(max_length=MAX_STEPS)


def plan_answer(request: PlanRequest) -> type[PlanAnswer]:
    """PlanAnswer with the permitted actions only; there must be at least one."""
    diagnosis, resource = request.diagnosis, request.incident.resource
    cause = request.kind.cause(diagnosis.suspected_cause)
    remedying = actions_of(cause, resource, diagnosis.target, facts_of(request.evidence))
    values = values_of(request)
    typed = [spec for spec in request.actions if spec.name in remedying and spec.params.model_fields]
    shapes: list[type[StepAnswer]] = [_typed(spec, values) for spec in typed]
    bare = [spec.name for spec in request.actions if spec.name in remedying and spec not in typed]
    if bare:
        shapes.append(create_model("BareStep", __base__=StepAnswer, action=(one_of(bare), ...)))
    others = [spec.name for spec in request.actions if spec.name not in remedying]
    if others:
        shapes.append(create_model("OtherStep", __base__=StepAnswer, action=(one_of(others), ...)))
    step: Any = shapes[0] if len(shapes) == 1 else Annotated[Union[tuple(shapes)], Field(discriminator="action")]  # noqa: UP007
    return create_model("PlanAnswer", __base__=PlanAnswer, steps=(list[step], Field(max_length=MAX_STEPS)))


def values_of(request: PlanRequest) -> Values:
    """What params may be on the request's resource."""
    resource = request.incident.resource
    if resource is None:
        return {}
    cause = request.kind.cause(request.diagnosis.suspected_cause)
    return possible_values(resource, facts_of(request.evidence), cause, request.diagnosis.target)


def params_by_action(request: PlanRequest) -> dict[str, type[BaseModel]]:
    """Each permitted action's params, those that name something bound to what there is on the resource."""
    values = values_of(request)
    return {spec.name: _narrowed(spec, values) for spec in request.actions}


def to_plan(data: dict[str, Any], answer: type[PlanAnswer], request: PlanRequest) -> Plan:
    """The draft, its author still to be named. Raises InvalidAnswer for params that the action does not take."""
    given = validated(answer, data)
    specs = {spec.name: spec for spec in request.actions}
    values = values_of(request)
    steps = tuple(_step(step, specs[step.action], values, number) for number, step in enumerate(given.steps, 1))
    return Plan(steps=steps, summary=clip(given.summary, SUMMARY_CHARS))


def _step(step: StepAnswer, spec: ActionSpec, values: Values, number: int) -> PlanStep:
    given = (
        step.params.model_dump(mode="json", exclude_unset=True) if isinstance(step.params, BaseModel) else step.params
    )
    try:
        _narrowed(spec, values).model_validate(given)
    except ValidationError as error:
        raise InvalidAnswer(f"steps[{number}] {step.action}: params: {problems_of(error)}") from None
    return PlanStep(
        action=step.action,
        params=given,
        why=clip(step.why, STEP_TEXT_CHARS),
        expect=clip(step.expect, STEP_TEXT_CHARS),
    )


def _typed(spec: ActionSpec, values: Values) -> type[StepAnswer]:
    name: Any = Literal[spec.name]
    params = _narrowed(spec, values)
    return create_model(f"Step_{spec.name}", __base__=StepAnswer, action=(name, ...), params=(params, ...))


def _narrowed(spec: ActionSpec, values: Values) -> type[BaseModel]:
    """The action's params, those that name something bound to what there is."""
    fields: dict[str, Any] = {}
    for name, field in spec.params.model_fields.items():
        fitting = [value for value in values.get(name, ()) if _fits(value, field.annotation)]
        if fitting:
            fields[name] = (one_of(fitting), field)
    return create_model(f"{spec.name}_params", __base__=spec.params, **fields) if fields else spec.params


def _fits(value: object, annotation: Any) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
