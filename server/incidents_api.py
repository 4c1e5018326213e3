"""Incidents over HTTP: reading them, following them live, and what people decide about them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from graph.records import AfterRejection, OutcomeStatus, PlanStep
from server.access.actor import Actor, Approver
from server.bodies import StrictRoute
from server.changes import Changes
from server.errors import ApiError, Problem
from server.services import Services
from server.store.who import Who
from server.verbs import Verbs

PHASES = ("queued", "running", "waiting", "waiting_approval", "escalated", "declined", "taken_over", "closed")
STATUSES = tuple(dict.fromkeys((*PHASES, *get_args(OutcomeStatus))))
MAX_WAIT_SECONDS = 30.0

_ANSWERS: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (401, 403, 404, 409, 422)}


class By(BaseModel):
    """Why, and with the operator's shared token also who asks; both are recorded."""

    model_config = ConfigDict(extra="forbid")

    by: str | None = Field(default=None, max_length=200)
    comment: str = Field(default="", max_length=2000)


class EditedPlan(BaseModel):
    """The steps wanted instead. Of each, action and params count; commands, risk and undo are worked out anew."""

    model_config = ConfigDict(extra="ignore")

    steps: tuple[PlanStep, ...] = Field(min_length=1, max_length=20)


class Decision(By):
    """The answer to a waiting plan, bound to its `plan_fingerprint`."""

    decision: Literal["approve", "edit", "reject"]
    plan_fingerprint: str = Field(max_length=64)
    plan: EditedPlan | None = None
    then: AfterRejection = "close"
    """After a rejection: close the incident, or think again with the comment."""


class TakeOver(By):
    """For how long the resource is the human's."""

    minutes: float = 60.0


class Confirmation(By):
    """What a human found to be true: a declared cause (or `no_fault`, `unknown`), and whether the repair was right."""

    cause: str = Field(max_length=200)
    right: bool | None = None


def incident_routes(services: Services, changes: Changes) -> APIRouter:
    """Everything under `/api/incidents`."""
    router = APIRouter(prefix="/api/incidents", route_class=StrictRoute, tags=["incidents"], responses=_ANSWERS)
    store, verbs = services.store, Verbs(services)

    @router.get("", summary="List incidents, newest first")
    async def incidents(
        status: str | None = None,
        resource: Annotated[str | None, Query(max_length=3300)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    ) -> dict[str, Any]:
        """`status` is a phase or an outcome; `resource` an id or `Kind/id`; `cursor` the last page's `next_cursor`."""
        if status is not None and status not in STATUSES:
            raise ApiError(422, f"status: {status!r:.60} is unknown", "status", f"use one of {', '.join(STATUSES)}")
        page = await store.incidents(status, resource, limit, cursor)
        return {"incidents": page.items, "next_cursor": page.next_cursor}

    @router.get("/{reference}", summary="The whole record of one incident, by id or number")
    async def incident(reference: str) -> dict[str, Any]:
        return await verbs.record_of(reference)

    @router.get("/{reference}/events", summary="Follow a heal: answers once its timeline or phase has changed")
    async def events(
        reference: str,
        seen: Annotated[str, Query(max_length=64)] = "",
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS)] = 0.0,
    ) -> dict[str, Any]:
        """Give `seen` the last answer's `token`; answers at once where it is another, else after `wait` seconds."""
        incident_id = await verbs.id_of(reference)
        return await changes.events(incident_id, seen, wait)

    @router.get(
        "/{reference}/evidence/{evidence_id}", summary="The whole (redacted) answer behind one piece of evidence"
    )
    async def raw_evidence(reference: str, evidence_id: str) -> dict[str, str]:
        record = await verbs.record_of(reference)
        raw = await store.raw(f"{record['id']}/{evidence_id:.50}")
        if raw is None:
            remedy = "the record's `evidence` lists what there is"
            raise ApiError(404, f"#{record['number']} has no whole answer {evidence_id!r:.60}", "evidence_id", remedy)
        return {"id": record["id"], "evidence_id": evidence_id, "raw": raw}

    @router.get("/{reference}/records", summary="What each step wrote, oldest first: the evidence of all looks, too")
    async def records(reference: str) -> dict[str, Any]:
        """The timeline's sentences with the records behind them: `evidence`, `inquiries`, `diagnosis`, `plan`, … Of a
        compacted incident nothing is left here; its record has what was kept."""
        incident_id = await verbs.id_of(reference)
        return {"id": incident_id, "entries": await store.timeline(incident_id)}

    @router.get("/{reference}/model-calls", summary="What models were asked, and answered (redacted), oldest first")
    async def model_calls(reference: str) -> dict[str, Any]:
        incident_id = await verbs.id_of(reference)
        return {"id": incident_id, "calls": await store.model_calls(incident_id)}

    _decisions(router, verbs)
    return router


def _decisions(router: APIRouter, verbs: Verbs) -> None:
    @router.post("/{reference}/decision", summary="Approve, edit or reject the waiting plan")
    async def decide(reference: str, body: Decision, actor: Approver) -> dict[str, Any]:
        """409 where the plan changed, expired or is not waiting; 422 for an invalid edit, naming step and field."""
        steps = body.plan.steps if body.plan else None
        who = actor.who(body.by)
        return await verbs.decide(reference, who, body.decision, body.plan_fingerprint, steps, body.comment, body.then)

    @router.get("/{reference}/editable", summary="What may be made of the waiting plan: actions, params, remedies")
    async def editable(reference: str) -> dict[str, Any]:
        return await verbs.editable(reference)

    @router.post("/{reference}/preview", summary="What an edit would run, exactly; nothing is decided")
    async def preview(reference: str, body: EditedPlan, actor: Approver) -> dict[str, Any]:
        return await verbs.preview(reference, actor.who(), body.steps)

    @router.post("/{reference}/take-over", summary="The healer stands back; the resource is yours for a time")
    async def take_over(reference: str, actor: Approver, body: TakeOver | None = None) -> dict[str, Any]:
        asked = body or TakeOver()
        return await verbs.take_over(reference, actor.who(asked.by), asked.minutes, asked.comment)

    @router.post("/{reference}/acknowledge", summary="Take note of an escalation: nobody else is called about it")
    async def acknowledge(reference: str, actor: Approver, body: By | None = None) -> dict[str, Any]:
        return await verbs.acknowledge(reference, _who(actor, body), body.comment if body else "")

    @router.post("/{reference}/confirm", summary="Say what the true cause was, and whether the repair was right")
    async def confirm(reference: str, actor: Approver, body: Confirmation) -> dict[str, Any]:
        return await verbs.confirm(reference, actor.who(body.by), body.cause, body.right, body.comment)

    @router.post(
        "/{reference}/cancel", summary="Stop a heal (of a storm: all) between side effects; says what can't be"
    )
    async def cancel(reference: str, actor: Approver, body: By | None = None) -> dict[str, Any]:
        return await verbs.cancel(reference, _who(actor, body))

    @router.post("/{reference}/release", summary="Let the members of a storm go on before it is over")
    async def release(reference: str, actor: Approver, body: By | None = None) -> dict[str, Any]:
        return await verbs.release(reference, _who(actor, body), body.comment if body else "")

    @router.post("/{reference}/retry", summary="Try an escalated or declined incident again")
    async def retry(reference: str, actor: Approver, body: By | None = None) -> dict[str, Any]:
        return await verbs.retry(reference, _who(actor, body))

    @router.post(
        "/{reference}/close", summary="Close an escalated or declined incident, so that it lets go of its resource"
    )
    async def close(reference: str, actor: Approver, body: By | None = None) -> dict[str, Any]:
        return await verbs.close(reference, _who(actor, body), body.comment if body else "")


def _who(actor: Actor, body: By | None) -> Who:
    return actor.who(body.by if body else None)
