"""What a human is asked, and how the answer is read: LangChain's human-in-the-loop request and response.

The same form serves our own endpoints, Studio and agent inboxes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from graph.records import AfterRejection, Approval, Diagnosis, Gate, Incident, Plan, PlanStep

RUN_PLAN = "run_plan"

_DECISIONS = {"approve": "approve", "edit": "edit", "reject": "reject", "withdraw": "withdrawn", "expire": "expired"}


class InvalidAnswer(ValueError):
    """The answer to an approval request is not one we can read; the message says what is expected."""


class _EditedArgs(BaseModel):
    model_config = ConfigDict(extra="ignore")
    plan_fingerprint: str = ""
    steps: tuple[PlanStep, ...] = Field(min_length=1)


class _EditedAction(BaseModel):
    model_config = ConfigDict(extra="ignore")
    args: _EditedArgs


class _Decision(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: str
    message: str = ""
    then: AfterRejection = "close"
    edited_action: _EditedAction | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")
    decisions: tuple[_Decision, ...] = Field(min_length=1, max_length=1)
    by: str = ""
    at: AwareDatetime | None = None
    plan_fingerprint: str = ""


def approval_request(incident: Incident, diagnosis: Diagnosis, plan: Plan, gate: Gate) -> dict[str, Any]:
    """The interrupt's payload: exactly one action request, `run_plan`, with the fingerprint and the steps as args."""
    steps = [step.model_dump(mode="json") for step in plan.steps]
    commands = "\n".join(f"{index}. {step.rendered}  ({step.risk})" for index, step in enumerate(plan.steps, 1))
    description = f"{incident.title}: {diagnosis.summary}\n{plan.summary}\n{commands}\nAsked because: {gate.reason}"
    request = {"name": RUN_PLAN, "description": description}
    args = {"plan_fingerprint": plan.plan_fingerprint, "steps": steps}
    return {
        "action_requests": [request | {"args": args}],
        "review_configs": [{"action_name": RUN_PLAN, "allowed_decisions": ["approve", "edit", "reject"]}],
    }


def read_answer(answer: object, plan_fingerprint: str, by: str, now: datetime) -> Approval:
    """The approval an answer means. `by` and `now` stand in where the answer does not say. Raises InvalidAnswer."""
    if not isinstance(answer, Mapping):
        raise InvalidAnswer('expected {"decisions": [{"type": "approve" | "edit" | "reject"}]}')
    try:
        read = _Answer.model_validate(dict(answer))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidAnswer(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    decision = read.decisions[0]
    if decision.type not in _DECISIONS:
        raise InvalidAnswer(f"decisions.0.type: {decision.type!r} is none of {', '.join(_DECISIONS)}")
    if read.plan_fingerprint and read.plan_fingerprint != plan_fingerprint:
        raise InvalidAnswer(
            f"plan_fingerprint: {read.plan_fingerprint} is not the plan asked about: {plan_fingerprint}"
        )
    steps: tuple[PlanStep, ...] = ()
    if decision.type == "edit":
        if decision.edited_action is None:
            raise InvalidAnswer("decisions.0.edited_action: an edit brings the steps wanted instead")
        steps = decision.edited_action.args.steps
    return Approval.model_validate(
        {
            "decision": _DECISIONS[decision.type],
            "by": read.by or by,
            "at": read.at or now,
            "plan_fingerprint": read.plan_fingerprint or plan_fingerprint,
            "comment": decision.message,
            "steps": steps,
            "then": decision.then,
        }
    )
