"""The shape of a model's answers and what must hold for them: the model is believed only as far as this code checks.

A server's "structured output" may be no such thing, so the same model validates every answer, however it came.

Making such a shape and its schema takes milliseconds in which no other heal goes on, and most questions are alike: the
latest are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from agents.reasoning.proof import Claim, Unproven, prove
from agents.reasoning.runbook import RULED_OUT_CHARS, RULED_OUT_ENTRIES, SUMMARY_CHARS, issue_type_of
from agents.reasoning.text import clip
from graph.kind import NO_FAULT, UNKNOWN_CAUSE, ResourceKind
from graph.ports import Asks, DiagnosisRequest, Inquiry, InquirySpec
from graph.records import Diagnosis, facts_of

STEP_TEXT_CHARS = 200
MAX_ASKS = 4
"""Questions of one answer: then it is time to look at what came back."""
WHY = "why"
KEPT = 128
"""Shapes of each sort."""

Answer = TypeVar("Answer", bound=BaseModel)


class InvalidAnswer(Exception):
    """What is wrong with an answer, in words that help to correct it."""


class Answered(BaseModel):
    model_config = ConfigDict(extra="ignore")


class RuledOut(Answered):
    """A cause that came into question, and the fact against it: its key as it stands in that evidence."""

    cause: str
    evidence_id: str
    fact: str


class DiagnosisAnswer(Answered):
    """What is wrong, as a model answers it. `diagnosis_answer` narrows the causes to a kind's."""

    suspected_cause: str
    summary: str = Field(min_length=1)
    confidence: float = Field(ge=0, le=1)
    evidence_ids: list[str]
    ruled_out: list[RuledOut] = Field(default_factory=list)
    target: str | None = None


def diagnosis_answer(kind: ResourceKind) -> type[DiagnosisAnswer]:
    """DiagnosisAnswer with the causes of this kind, `unknown` and `no_fault` only."""
    return _answer_of((*(cause.name for cause in kind.causes), UNKNOWN_CAUSE, NO_FAULT))


@lru_cache(KEPT)
def _answer_of(causes: tuple[str, ...]) -> type[DiagnosisAnswer]:
    return create_model("DiagnosisAnswer", __base__=DiagnosisAnswer, suspected_cause=(one_of(causes), ...))


def asking_answer(answer: type[DiagnosisAnswer], tools: Sequence[InquirySpec]) -> type[DiagnosisAnswer]:
    """The same with `ask`: for servers that can't be offered tools of their own. A question has the params under the
    tool's name: the fewest words that still bind each tool to its own."""
    return _asking_of(answer, tuple((tool.name, tool.params) for tool in tools))


@lru_cache(KEPT)
def _asking_of(answer: type[DiagnosisAnswer], tools: tuple[tuple[str, type[BaseModel]], ...]) -> type[DiagnosisAnswer]:
    fields: dict[str, Any] = {name: (params, Field(default=None)) for name, params in tools} | {WHY: (str, "")}
    question: Any = create_model("Ask", __base__=Answered, **fields)
    return create_model(
        answer.__name__, __base__=answer, ask=(list[question], Field(default_factory=list, max_length=MAX_ASKS))
    )


def one_of(values: Sequence[Any]) -> Any:
    """The type of these values only."""
    return Literal[tuple(values)]


def schema_of(answer: type[BaseModel]) -> dict[str, Any]:
    """JSON schema, named and described, as the wire format wants it, and no longer than it must be: tokens are dear."""
    schema: dict[str, Any] = json.loads(_schema_text(answer))
    return schema


@lru_cache(KEPT)
def _schema_text(answer: type[BaseModel]) -> str:
    """As text, so that nobody changes what is kept."""
    description = "What is wrong with the resource." if issubclass(answer, DiagnosisAnswer) else "What to do about it."
    return json.dumps(_terse(answer.model_json_schema()) | {"title": answer.__name__, "description": description})


def tool_of(tool: InquirySpec) -> dict[str, Any]:
    """A read-only tool in the wire format."""
    parameters = json.loads(_params_text(tool.params))
    parameters.pop("description", None)
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.summary, "parameters": parameters},
    }


@lru_cache(KEPT)
def _params_text(params: type[BaseModel]) -> str:
    return json.dumps(_terse(params.model_json_schema()))


def _terse(schema: dict[str, Any]) -> dict[str, Any]:
    """With what it refers to in its place (few local servers resolve references), and without what only repeats names:
    titles, defaults, lengths of text, descriptions of our own classes, and what `validated` insists on in any case."""
    defined = schema.get("$defs", {})

    def of(part: Any) -> Any:
        if isinstance(part, list):
            return [of(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return of(defined[part["$ref"].rpartition("/")[2]])
        properties = part.get("properties")
        kept = {
            {"oneOf": "anyOf"}.get(key, key): of(value)
            for key, value in part.items()
            if key not in _NEEDLESS
            and not (key == "description" and properties is not None)
            and not (key == "type" and "const" in part)
        }
        if properties is not None:
            kept["properties"] = {name: of(value) for name, value in properties.items()}
        return kept

    terse: dict[str, Any] = of(schema)
    return terse


_NEEDLESS = (
    "title",
    "properties",
    "default",
    "discriminator",
    "minLength",
    "maxLength",
    "additionalProperties",
    "$defs",
)


# -- from answers to records ---------------------------------------------------------------------------


def to_diagnosis(data: dict[str, Any], answer: type[DiagnosisAnswer], request: DiagnosisRequest) -> Diagnosis:
    """The record, its author still to be named. Raises InvalidAnswer for what is malformed and for what is unproven."""
    given = validated(answer, data)
    if problem := _target_problem(given, request):
        raise InvalidAnswer(problem)
    try:
        proof = prove(Claim(given.suspected_cause, given.evidence_ids, given.target), request)
    except Unproven as unproven:
        raise InvalidAnswer(str(unproven)) from None
    return Diagnosis(
        suspected_cause=given.suspected_cause,
        issue_type=issue_type_of(request.kind, given.suspected_cause, request.incident),
        summary=clip(given.summary, SUMMARY_CHARS),
        confidence=given.confidence,
        evidence_ids=proof.evidence_ids,
        ruled_out=_ruled_out(given, request),
        target=proof.target,
    )


def to_asks(asked: Sequence[tuple[str, Any]], request: DiagnosisRequest) -> Asks:
    """Questions to tools, from (tool, params). Raises InvalidAnswer for unknown tools and params."""
    specs = {tool.name: tool for tool in request.tools}
    inquiries = []
    for name, params in asked[: request.left.calls]:
        if name not in specs:
            raise InvalidAnswer(f"the tool {clip(name, 60)!r} does not exist; there is {', '.join(specs) or 'none'}")
        given = dict(params) if isinstance(params, dict) else params
        why = given.pop(WHY, "") if isinstance(given, dict) else ""
        try:
            valid = specs[name].params.model_validate(given)
        except ValidationError as error:
            raise InvalidAnswer(f"{name}: {problems_of(error)}") from None
        params_of = valid.model_dump(mode="json", exclude_none=True)
        inquiries.append(Inquiry(tool=name, params=params_of, why=clip(str(why), STEP_TEXT_CHARS)))
    return Asks(tuple(inquiries))


def asks_in(data: dict[str, Any]) -> list[tuple[str, Any]]:
    """The questions in an answer of `asking_answer`'s shape, as (tool, params); `why` goes with the params. Some models
    put it as `{"tool": …, "params": …}` whatever they are told: that is as clear."""
    found = []
    for item in data.get("ask") or ():
        if not isinstance(item, dict):
            continue
        why = {WHY: item[WHY]} if item.get(WHY) else {}
        named = {str(item["tool"]): item.get("params")} if "tool" in item else item
        for tool, params in named.items():
            if tool != WHY:
                found.append((tool, {**params, **why} if isinstance(params, dict) else params or why))
    return found[:MAX_ASKS]


def validated(answer: type[Answer], data: dict[str, Any]) -> Answer:
    try:
        return answer.model_validate(data)
    except ValidationError as error:
        raise InvalidAnswer(problems_of(error)) from None


def problems_of(error: ValidationError) -> str:
    """`confidence: Input should be less than or equal to 1; …`: at most three, as they go into a prompt."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = (f"{'.'.join(map(str, item['loc'])) or 'the answer'}: {item['msg']}" for item in found[:3])
    return "; ".join(told)


def _ruled_out(given: DiagnosisAnswer, request: DiagnosisRequest) -> dict[str, str]:
    """Causes for which the fact that is given really was seen, with its value; what shows no fact is left out."""
    known = {cause.name for cause in request.kind.causes} | {NO_FAULT}
    facts = {item.id: item.facts for item in request.evidence}
    found: dict[str, str] = {}
    for entry in given.ruled_out:
        key = entry.fact.split(" = ")[0].strip()
        if entry.cause in known and entry.cause != given.suspected_cause and key in facts.get(entry.evidence_id, {}):
            against = f"{entry.evidence_id}: {key} = {facts[entry.evidence_id][key]}"
            found[entry.cause] = clip(against, RULED_OUT_CHARS)
    return dict(list(found.items())[:RULED_OUT_ENTRIES])


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
