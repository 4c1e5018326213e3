"""One incident: its page, the page as it happens, and the forms on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from graph.kind import NO_FAULT, UNKNOWN_CAUSE
from graph.records import PlanStep
from server.access.actor import Actor, needs
from server.changes import Changes
from server.console.forms import read_form
from server.console.live import Streams, marks
from server.console.page_route import back_to, error_page, said_of
from server.console.rendering import HEADERS, html, render
from server.console.views import incident as view
from server.console.views.editing import InvalidForm, step_forms, steps_of
from server.errors import ApiError, unavailable
from server.services import Services
from server.verbs import Verbs

Viewer = Annotated[Actor, Depends(needs("viewer"))]
Approver = Annotated[Actor, Depends(needs("approver"))]

PARTS = ("headline", "decision", "verification", "timeline", "evidence", "record")
SAID = {"approve": "approved: it runs as soon as nothing holds it", "edit": "approved as edited", "reject": "rejected"}


def incident_pages(router: APIRouter, services: Services, changes: Changes, verbs: Verbs) -> None:
    """Add the pages of one incident."""
    streams = Streams()

    @router.get("/incidents/{number}")
    async def incident(request: Request, number: str, actor: Viewer) -> Response:
        record = await verbs.record_of(number)
        return _page(services, request, record, flash=said_of(request))

    @router.get("/incidents/{number}/live")
    async def live(request: Request, number: str, actor: Viewer) -> Response:
        incident_id = await verbs.id_of(number)
        if streams.full:
            raise unavailable("too many pages are being followed")
        seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")

        async def parts() -> dict[str, str]:
            return _parts(services, request, await verbs.record_of(incident_id))

        events = streams.follow(changes, incident_id, seen, parts, request.is_disconnected)
        return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS | {"X-Accel-Buffering": "no"})

    @router.get("/incidents/{number}/evidence/{evidence_id}")
    async def evidence(request: Request, number: str, evidence_id: str, actor: Viewer) -> Response:
        record = await verbs.record_of(number)
        raw = await services.store.raw(f"{record['id']}/{evidence_id:.50}")
        if raw is None:
            raise ApiError(404, f"#{record['number']} has no whole answer {evidence_id:.60}", remedy="see its evidence")
        return render(request, "raw.html", record=record, evidence_id=evidence_id, raw=raw)

    @router.post("/incidents/{number}/decision")
    async def decide(request: Request, number: str, actor: Approver) -> Response:
        form = await read_form(request)
        wanted = form.get("decision", "")
        decision, then = ("reject", "replan") if wanted == "replan" else (wanted, "close")
        if decision not in ("approve", "reject"):
            raise ApiError(422, f"decision: {wanted!r:.40} is none", remedy="use the buttons of the page")
        fingerprint, comment = form.get("plan_fingerprint", ""), form.get("comment", "")
        try:
            await verbs.decide(number, actor.who(), decision, fingerprint, None, comment, then)  # type: ignore[arg-type]
        except ApiError as error:
            return await _again(request, number, error, form)
        return back_to(f"/incidents/{number}", SAID[decision] + (", another plan is made" if then == "replan" else ""))

    @router.post("/incidents/{number}/{verb}")
    async def ask(request: Request, number: str, verb: str, actor: Approver) -> Response:
        form = await read_form(request)
        if verb == "edit":
            return await _edited(services, verbs, request, number, actor, form)
        try:
            told = await _asked(verbs, number, verb, actor, form)
        except ApiError as error:
            if error.status_code == 404:
                raise
            return await _again(request, number, error, form)
        return back_to(f"/incidents/{number}", str(told["said"]))

    @router.get("/incidents/{number}/edit")
    async def edit(request: Request, number: str, actor: Approver) -> Response:
        return await _edit_page(verbs, request, number)

    async def _again(request: Request, number: str, error: ApiError, typed: dict[str, str]) -> Response:
        """The page as it is now, with what went wrong and what was typed."""
        record = await verbs.record_of(number)
        return _page(services, request, record, error.status_code, _problem(error), typed)


async def _asked(verbs: Verbs, number: str, verb: str, actor: Actor, form: dict[str, str]) -> dict[str, Any]:
    who, comment = actor.who(), form.get("comment", "")
    match verb:
        case "cancel":
            return await verbs.cancel(number, who)
        case "retry":
            return await verbs.retry(number, who)
        case "close":
            return await verbs.close(number, who, comment)
        case "take-over":
            return await verbs.take_over(number, who, _minutes(form), comment)
        case "acknowledge":
            return await verbs.acknowledge(number, who, comment)
        case "confirm":
            right = {"yes": True, "no": False}.get(form.get("right", ""))
            return await verbs.confirm(number, who, form.get("cause", ""), right, comment)
    raise ApiError(404, f"there is no {verb:.40}", remedy="use the buttons of the page")


def _minutes(form: dict[str, str]) -> float:
    try:
        return float(form.get("minutes") or 60)
    except ValueError:
        raise ApiError(422, f"minutes: {form['minutes']!r:.40} is no number", "minutes", "give a number") from None


def _parts(services: Services, request: Request, record: dict[str, Any], **more: Any) -> dict[str, str]:
    context = _context(services, record) | {"typed": {}, **more}
    return {name: html(request, f"parts/{name}.html", **context) for name in PARTS}


def _context(services: Services, record: dict[str, Any]) -> dict[str, Any]:
    kind = services.kinds.get(record["resource_kind"])
    causes = sorted(cause.name for cause in kind.causes) if kind else []
    return {
        "record": record,
        "story": view.headline(record),
        "asked": view.asked(record),
        "decided": view.decided(record),
        "evidence": view.evidence(record),
        "verbs": view.verbs(record),
        "causes": [*causes, NO_FAULT, UNKNOWN_CAUSE],
    }


def _page(
    services: Services,
    request: Request,
    record: dict[str, Any],
    status: int = 200,
    problem: dict[str, Any] | None = None,
    typed: dict[str, str] | None = None,
    flash: str = "",
) -> Response:
    seen = "-".join(marks(_parts(services, request, record)))
    context = _context(services, record) | {"typed": typed or {}, "problem": problem, "flash": flash}
    return render(request, "incident.html", status, parts=PARTS, seen=seen, **context)


def _problem(error: ApiError) -> dict[str, Any]:
    return {"error": error.body["error"], "remedy": error.body.get("remedy")}


# -- editing --------------------------------------------------------------------------------------------


async def _edit_page(
    verbs: Verbs,
    request: Request,
    number: str,
    status: int = 200,
    problem: dict[str, Any] | None = None,
    steps: Sequence[dict[str, Any]] | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    record = await verbs.record_of(number)
    choices = await verbs.editable(number)
    forms = step_forms(choices, steps)
    context = {"record": record, "choices": choices, "forms": forms, "problem": problem, "typed": typed or {}}
    return render(request, "edit.html", status, **context)


async def _edited(
    services: Services, verbs: Verbs, request: Request, number: str, actor: Actor, form: dict[str, str]
) -> Response:
    try:
        choices = await verbs.editable(number)
    except ApiError as error:
        record = await verbs.record_of(number)
        return _page(services, request, record, error.status_code, _problem(error), form)
    steps: list[dict[str, Any]] = []
    try:
        steps = json.loads(form["steps"]) if "steps" in form else steps_of(form, choices)
        if form.get("go") == "add":
            added = [{"action": form["add"], "params": {}}] if form.get("add") else []
            return await _edit_page(verbs, request, number, steps=[*steps, *added], typed=form)
        if not steps:
            raise InvalidForm("no step is left: to run nothing, reject the plan")
        if form.get("go") == "again":
            return await _edit_page(verbs, request, number, steps=steps, typed=form)
        asked = [PlanStep(action=str(step["action"]), params=dict(step["params"])) for step in steps]
        comment = form.get("comment", "")
        if form.get("go") == "check":
            return await _preview_page(verbs, request, number, actor, asked, form)
        await verbs.decide(number, actor.who(), "edit", form.get("plan_fingerprint", ""), asked, comment)
    except (InvalidForm, KeyError, TypeError, ValueError) as error:
        problem = {"error": str(error), "remedy": "correct it and send it again"}
        return await _edit_page(verbs, request, number, 422, problem, steps or None, form)
    except ApiError as error:
        if error.status_code == 422:
            return await _edit_page(verbs, request, number, 422, _problem(error), steps, form)
        return error_page(request, error.status_code, error.body)
    return back_to(f"/incidents/{number}", SAID["edit"])


async def _preview_page(
    verbs: Verbs, request: Request, number: str, actor: Actor, steps: Sequence[PlanStep], form: dict[str, str]
) -> Response:
    """The exact commands of an edit, before it is approved."""
    preview = await verbs.preview(number, actor.who(), steps)
    wanted = [{"action": step["action"], "params": step["params"]} for step in preview["steps"]]
    return render(
        request,
        "preview.html",
        record=await verbs.record_of(number),
        preview=preview,
        asked_fingerprint=form.get("plan_fingerprint", ""),
        steps_json=json.dumps(wanted),
        comment=form.get("comment", ""),
    )
