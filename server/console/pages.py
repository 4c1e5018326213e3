"""The console's pages. Each form goes through the same verbs as HTTP and the CLI, and comes back to its page."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from server.access.actor import Viewer
from server.changes import Changes
from server.console.deciding_pages import deciding_pages
from server.console.editing_pages import editing_pages
from server.console.fleet_pages import fleet_pages
from server.console.incident_pages import incident_pages
from server.console.page_route import PageRoute
from server.console.rendering import render
from server.incidents_api import STATUSES
from server.services import Services
from server.verbs import Verbs

Text = Annotated[str, Query(max_length=300)]

PAGE_SIZE = 50


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
        holding["storms"] = fleet["storms"]
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

    @router.get("/audit")
    async def audit(request: Request, actor: Viewer, who: Text = "", what: Text = "", cursor: Text = "") -> Response:
        before = int(cursor) if cursor.isdigit() and len(cursor) < 16 else None
        entries, following = await services.store.audit(PAGE_SIZE, before, who or None, what or None)
        query = {"who": who, "what": what}
        next_url = _url("/audit", {**query, "cursor": str(following)}) if following else None
        return render(request, "audit.html", entries=entries, query=query, next_url=next_url)

    fleet_pages(router, services, verbs)
    incident_pages(router, services, changes, verbs)
    editing_pages(router, services, verbs)
    deciding_pages(router, services, verbs)
    return router


def _url(path: str, query: dict[str, str]) -> str:
    kept = {key: value for key, value in query.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path
