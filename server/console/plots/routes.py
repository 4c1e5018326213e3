"""The plots of an incident as a piece of its page, so that the page need not wait for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from server.access.actor import Viewer
from server.console.plots.page import plots_of
from server.console.rendering import render
from server.services import Services
from server.verbs import Verbs


def plot_routes(services: Services) -> APIRouter:
    """`GET /incidents/{number}/plots`: the piece alone for htmx, a page of its own for a browser without scripts."""
    router = APIRouter(include_in_schema=False)
    verbs = Verbs(services)

    @router.get("/incidents/{number}/plots", response_class=HTMLResponse)
    async def plots(request: Request, number: str, actor: Viewer) -> HTMLResponse:
        record = await verbs.record_of(number)
        found = await plots_of(services, record)
        template = "plots.html" if request.headers.get("HX-Request") else "plots_page.html"
        return render(request, template, plots=found, number=record["number"])

    return router
