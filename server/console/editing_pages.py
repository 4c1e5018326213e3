"""Editing the plan that waits: the form, the exact commands it would run, and the approval of those."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from graph.records import PlanStep
from server.access.actor import Actor, Approver
from server.console.forms import read_form
from server.console.incident_page import incident_page, problem_of
from server.console.page_route import back_to, error_page
from server.console.rendering import render
from server.console.views.editing import InvalidForm, step_forms, steps_of
from server.errors import ApiError
from server.services import Services
from server.verbs import Verbs


def editing_pages(router: APIRouter, services: Services, verbs: Verbs) -> None:
    """Add the form and what becomes of it."""

    @router.get("/incidents/{number}/edit")
    async def edit(request: Request, number: str, actor: Approver) -> Response:
        return await _edit_page(verbs, request, number)

    @router.post("/incidents/{number}/edit")
    async def edited(request: Request, number: str, actor: Approver) -> Response:
        return await _edited(services, verbs, request, number, actor, await read_form(request))


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
        return incident_page(services, request, record, error.status_code, problem_of(error), form)
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
            return await _edit_page(verbs, request, number, 422, problem_of(error), steps, form)
        return error_page(request, error.status_code, error.body)
    return back_to(f"/incidents/{number}", "approved as edited")


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
