"""The console's pages. Each form goes through the same verbs as HTTP and the CLI, and comes back to its page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from server.access.actor import Actor, needs
from server.changes import Changes
from server.console.forms import read_form
from server.console.incident_pages import incident_pages
from server.console.page_route import PageRoute, back_to, said_of
from server.console.rendering import render
from server.errors import ApiError
from server.incidents_api import STATUSES
from server.ladder import report
from server.services import Services
from server.verbs import Verbs

Viewer = Annotated[Actor, Depends(needs("viewer"))]
Approver = Annotated[Actor, Depends(needs("approver"))]
Admin = Annotated[Actor, Depends(needs("admin"))]
Text = Annotated[str, Query(max_length=300)]

PAGE_SIZE = 50
REPORT_DAYS = 90


def console_routes(services: Services, changes: Changes) -> APIRouter:
    """Every page."""
    router = APIRouter(route_class=PageRoute, include_in_schema=False)
    verbs = Verbs(services)

    @router.get("/")
    async def home() -> Response:
        return RedirectResponse("/incidents", 303)

    @router.get("/incidents")
    async def incidents(
        request: Request, actor: Viewer, q: Text = "", status: Text = "", resource: Text = "", cursor: Text = ""
    ) -> Response:
        known = status if status in STATUSES else None
        before = int(cursor) if cursor.isdigit() and len(cursor) < 16 else None
        page = await services.store.incidents(known, resource or None, PAGE_SIZE, before, q or None)
        query = {"q": q, "status": known or "", "resource": resource}
        fleet = await services.store.fleet()
        holding = {"pauses": fleet["pauses"], "frozen": [item for item in fleet["freeze_windows"] if item["active"]]}
        return render(
            request,
            "incidents.html",
            incidents=page.items,
            query={**query, "cursor": cursor},
            statuses=STATUSES,
            here=_url("/incidents", query),
            next_url=_url("/incidents", {**query, "cursor": str(page.next_cursor)}) if page.next_cursor else None,
            holding=holding,
        )

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

    @router.get("/audit")
    async def audit(request: Request, actor: Viewer, who: Text = "", what: Text = "", cursor: Text = "") -> Response:
        before = int(cursor) if cursor.isdigit() and len(cursor) < 16 else None
        entries, following = await services.store.audit(PAGE_SIZE, before, who or None, what or None)
        query = {"who": who, "what": what}
        next_url = _url("/audit", {**query, "cursor": str(following)}) if following else None
        return render(request, "audit.html", entries=entries, query=query, next_url=next_url)

    incident_pages(router, services, changes, verbs)
    return router


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
        fleet=await services.store.fleet(),
        scopes=scopes,
        problem=problem,
        typed=typed or {},
        flash=flash,
    )


async def _policies_page(services: Services, request: Request, flash: str = "") -> Response:
    measured = await services.store.measured(datetime.now(UTC) - timedelta(days=REPORT_DAYS))
    pairs = report(services.policies, measured)
    return render(request, "policies.html", pairs=pairs, days=REPORT_DAYS, problem=None, flash=flash)


def _url(path: str, query: dict[str, str]) -> str:
    kept = {key: value for key, value in query.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path
