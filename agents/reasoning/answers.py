"""The shape of a model's answers and what must hold for them: the model is believed only as far as this code checks.

A server's "structured output" may be no such thing, so the same model validates every answer, however it came.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from agents.reasoning.runbook import RULED_OUT_CHARS, RULED_OUT_ENTRIES, SUMMARY_CHARS, issue_type_of
from agents.reasoning.text import clip
from graph.kind import NO_FAULT, UNKNOWN_CAUSE, ActionSpec, ResourceKind
from graph.ports import DiagnosisRequest, PlanRequest
from graph.records import Diagnosis, Plan, PlanStep, facts_of

MAX_STEPS = 6
STEP_TEXT_CHARS = 200

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=BaseModel)


class InvalidAnswer(Exception):
    """What is wrong with an answer, in words that help to correct it."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class DiagnosisAnswer(_Answer):
    """What is wrong, as a model answers it. `diagnosis_answer` narrows the causes to a kind's."""

    suspected_cause: str
    summary: str = Field(min_length=1)
    confidence: float = Field(ge=0, le=1)
    evidence_ids: list[str]
    ruled_out: dict[str, str] = {}
    target: str | None = None


class StepAnswer(_Answer):
    """One step, as a model answers it. `plan_answer` narrows the actions to the permitted ones."""

    action: str
    params: dict[str, Any] = {}
    why: str = Field(min_length=1)
    expect: str = ""


class PlanAnswer(_Answer):
    """What to do, as a model answers it; no steps where nothing declared would help."""

    summary: str = Field(min_length=1)
    steps: list[StepAnswer] = Field(max_length=MAX_STEPS)


def diagnosis_answer(kind: ResourceKind) -> type[DiagnosisAnswer]:
    """DiagnosisAnswer with the causes of this kind, `unknown` and `no_fault` only."""
    causes = _one_of([*(cause.name for cause in kind.causes), UNKNOWN_CAUSE, NO_FAULT])
    return create_model("DiagnosisAnswer", __base__=DiagnosisAnswer, suspected_cause=(causes, ...))


def plan_answer(actions: Sequence[ActionSpec]) -> type[PlanAnswer]:
    """PlanAnswer with these actions only; there must be at least one."""
    names = _one_of([spec.name for spec in actions])
    step = create_model("StepAnswer", __base__=StepAnswer, action=(names, ...))
    steps: Any = list[step]  # type: ignore[valid-type]
    return create_model("PlanAnswer", __base__=PlanAnswer, steps=(steps, Field(max_length=MAX_STEPS)))


def _one_of(names: Sequence[str]) -> Any:
    return Literal[tuple(names)]


def schema_of(answer: type[BaseModel]) -> dict[str, Any]:
    """JSON schema, named and described, as the wire format wants it."""
    description = "What is wrong with the resource." if issubclass(answer, DiagnosisAnswer) else "What to do about it."
    return answer.model_json_schema() | {"title": answer.__name__, "description": description}


# -- from answers to records ---------------------------------------------------------------------------


def to_diagnosis(data: dict[str, Any], answer: type[DiagnosisAnswer], request: DiagnosisRequest) -> Diagnosis:
    """The record, its author still to be named. Raises InvalidAnswer."""
    given = _validated(answer, data)
    if problem := _citation_problem(given, request) or _target_problem(given, request):
        raise InvalidAnswer(problem)
    known = {cause.name for cause in request.kind.causes} | {NO_FAULT}
    ruled_out = {
        name: clip(reason, RULED_OUT_CHARS)
        for name, reason in given.ruled_out.items()
        if name in known and name != given.suspected_cause
    }
    return Diagnosis(
        suspected_cause=given.suspected_cause,
        issue_type=issue_type_of(request.kind, given.suspected_cause, request.incident),
        summary=clip(given.summary, SUMMARY_CHARS),
        confidence=given.confidence,
        evidence_ids=tuple(dict.fromkeys(given.evidence_ids)),
        ruled_out=dict(list(ruled_out.items())[:RULED_OUT_ENTRIES]),
        target=given.target or _declared_target(given.suspected_cause, request),
    )


def to_plan(data: dict[str, Any], answer: type[PlanAnswer], request: PlanRequest) -> Plan:
    """The draft, its author still to be named. Raises InvalidAnswer for params that the action does not take."""
    given = _validated(answer, data)
    specs = {spec.name: spec for spec in request.actions}
    for number, step in enumerate(given.steps, 1):
        try:
            specs[step.action].params.model_validate(step.params)
        except ValidationError as error:
            raise InvalidAnswer(f"steps[{number}] {step.action}: params: {_problems(error)}") from None
    steps = tuple(
        PlanStep(
            action=step.action,
            params=step.params,
            why=clip(step.why, STEP_TEXT_CHARS),
            expect=clip(step.expect, STEP_TEXT_CHARS),
        )
        for step in given.steps
    )
    return Plan(steps=steps, summary=clip(given.summary, SUMMARY_CHARS))


def _validated(answer: type[Answer], data: dict[str, Any]) -> Answer:
    try:
        return answer.model_validate(data)
    except ValidationError as error:
        raise InvalidAnswer(_problems(error)) from None


def _problems(error: ValidationError) -> str:
    """`confidence: Input should be less than or equal to 1; …`: at most three, as they go into a prompt."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = (f"{'.'.join(map(str, item['loc'])) or 'the answer'}: {item['msg']}" for item in found[:3])
    return "; ".join(told)


def _citation_problem(given: DiagnosisAnswer, request: DiagnosisRequest) -> str:
    known = [item.id for item in request.evidence]
    unknown = [cited for cited in given.evidence_ids if cited not in known]
    if unknown:
        return f"evidence_ids: {clip(', '.join(unknown), 80)} does not exist; there is {', '.join(known) or 'none'}"
    if not given.evidence_ids and given.suspected_cause != UNKNOWN_CAUSE:
        return f"evidence_ids: {given.suspected_cause} needs at least one piece of evidence that speaks for it"
    return ""


def _target_problem(given: DiagnosisAnswer, request: DiagnosisRequest) -> str:
    if given.target is None or given.target in (known := set(_targets(request))):
        return ""
    return f"target: {clip(given.target, 80)!r} was not seen; it is null or one of {', '.join(sorted(known)[:20])}"


def _targets(request: DiagnosisRequest) -> Iterable[str]:
    """What a cause may be about: the resource, its services, and whatever facts are labelled with."""
    if request.incident.resource is not None:
        yield request.incident.resource.id
        yield from request.incident.resource.services
    for fact in facts_of(request.evidence).items:
        yield from fact.labels.values()


def _declared_target(suspected_cause: str, request: DiagnosisRequest) -> str | None:
    """What the cause's own signature points at, where the model left it out: remedies need it."""
    cause, resource = request.kind.cause(suspected_cause), request.incident.resource
    if cause is None or resource is None:
        return None
    try:
        match = cause.signature(facts_of(request.evidence), resource)
    except Exception:  # a kind may be a third party's; without a target the plan is checked all the same
        logger.exception("the signature of %s/%s raised", request.kind.name, cause.name)
        return None
    return match.target if match else None
