"""The shape of a model's plan: the declared remedies' actions with the values that are possible here, and the other
permitted actions for which it has to say why no remedy serves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Union

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

from agents.reasoning.answers import STEP_TEXT_CHARS, Answered, InvalidAnswer, one_of, problems_of, validated
from agents.reasoning.possible import Values, possible_values
from agents.reasoning.runbook import SUMMARY_CHARS
from agents.reasoning.text import clip
from graph.facts import FactValue
from graph.kind import ActionSpec
from graph.ports import PlanRequest
from graph.records import Plan, PlanStep, facts_of
from graph.rules.remedies import actions_of

MAX_STEPS = 6
KEPT = 32
"""Shapes of each sort: what is possible differs from resource to resource."""


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
        shapes.append(_step_of("BareStep", tuple(bare)))
    others = [spec.name for spec in request.actions if spec.name not in remedying]
    if others:
        shapes.append(_step_of("OtherStep", tuple(others)))
    return _answer_of(tuple(shapes))


@lru_cache(KEPT)
def _answer_of(shapes: tuple[type[StepAnswer], ...]) -> type[PlanAnswer]:
    step: Any = shapes[0] if len(shapes) == 1 else Annotated[Union[shapes], Field(discriminator="action")]  # noqa: UP007
    return create_model("PlanAnswer", __base__=PlanAnswer, steps=(list[step], Field(max_length=MAX_STEPS)))


@lru_cache(KEPT)
def _step_of(title: str, actions: tuple[str, ...], params: type[BaseModel] | None = None) -> type[StepAnswer]:
    """A step by one of these actions, with these params where they are known."""
    fields: dict[str, Any] = {"params": (params, ...)} if params is not None else {}
    return create_model(title, __base__=StepAnswer, action=(one_of(actions), ...), **fields)


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
    return _step_of(f"Step_{spec.name}", (spec.name,), _narrowed(spec, values))


def _narrowed(spec: ActionSpec, values: Values) -> type[BaseModel]:
    """The action's params, those that name something bound to what there is."""
    choices = []
    for name, field in spec.params.model_fields.items():
        # With their types, as 1 and True are one to a dict.
        fitting = tuple((type(value), value) for value in values.get(name, ()) if _fits(value, field.annotation))
        if fitting:
            choices.append((name, fitting))
    return _bound(f"{spec.name}_params", spec.params, tuple(choices)) if choices else spec.params


@lru_cache(KEPT)
def _bound(
    title: str, params: type[BaseModel], choices: tuple[tuple[str, tuple[tuple[type, FactValue], ...]], ...]
) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (one_of([value for _, value in fitting]), params.model_fields[name]) for name, fitting in choices
    }
    return create_model(title, __base__=params, **fields)


def _fits(value: object, annotation: Any) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
