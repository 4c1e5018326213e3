"""The fleet and the ladder of trust: what holds repairs back, and the forms that pause, resume and trust again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from server.access.actor import Admin, Approver, Viewer
from server.console.forms import read_form
from server.console.page_route import back_to, said_of
from server.console.rendering import render
from server.errors import ApiError
from server.ladder import report
from server.services import Services
from server.verbs import Verbs

REPORT_DAYS = 90


def fleet_pages(router: APIRouter, services: Services, verbs: Verbs) -> None:
    """Add the pages of what holds beyond one incident."""

    @router.get("/fleet")
    async def fleet(request: Request, actor: Viewer) -> Response:
        return await _fleet_page(services, request, flash=said_of(request))

    @router.post("/fleet/pause")
    async def pause(request: Request, actor: Approver) -> Response:
        form = await read_form(request)
        minutes = form.get("minutes", "")
        try:
            until = datetime.now(UTC) + timedelta(minutes=float(minutes)) if minutes else None
            await verbs.pause(actor.who(), form.get("reason", ""), form.get("scope", "all"), until)
        except (ApiError, ValueError, OverflowError) as error:
            problem = error.body if isinstance(error, ApiError) else {"error": f"minutes: {minutes:.40} is no number"}
            status = error.status_code if isinstance(error, ApiError) else 422
            return await _fleet_page(services, request, status, {"remedy": None, **problem}, typed=form)
        return back_to("/fleet", f"paused: {form.get('scope', 'all')}")

    @router.post("/fleet/resume")
    async def resume(request: Request, actor: Approver) -> Response:
        form = await read_form(request)
        await verbs.resume(actor.who(), form.get("scope", "all"))
        return back_to("/fleet", f"resumed: {form.get('scope', 'all')}")

    @router.get("/policies")
    async def policies(request: Request, actor: Viewer) -> Response:
        return await _policies_page(services, request, flash=said_of(request))

    @router.post("/policies/promote")
    async def promote(request: Request, actor: Admin) -> Response:
        form = await read_form(request)
        told = await verbs.promote(actor.who(), form.get("resource_kind", ""), form.get("issue_type", ""))
        return back_to("/policies", told["said"])


async def _fleet_page(
    services: Services,
    request: Request,
    status: int = 200,
    problem: dict[str, Any] | None = None,
    typed: dict[str, str] | None = None,
    flash: str = "",
) -> Response:
    resources = services.settings.resources
    scopes = ["all", *(f"kind:{kind}" for kind in services.kinds)]
    scopes += sorted({f"group:{resource.group}" for resource in resources if resource.group})
    scopes += [f"resource:{resource.key}" for resource in resources]
    return render(
        request,
        "fleet.html",
        status,
        fleet=await services.fleet(),
        scopes=scopes,
        problem=problem,
        typed=typed or {},
        flash=flash,
    )


async def _policies_page(services: Services, request: Request, flash: str = "") -> Response:
    measured = await services.store.measured(datetime.now(UTC) - timedelta(days=REPORT_DAYS))
    pairs = report(services.policies, measured)
    return render(request, "policies.html", pairs=pairs, days=REPORT_DAYS, problem=None, flash=flash)
