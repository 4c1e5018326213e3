"""One incident to look at: its page, the page as it happens, and whole answers behind its evidence."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from server.access.actor import Viewer
from server.changes import Changes
from server.console.incident_page import incident_page, page_parts
from server.console.live import Streams
from server.console.page_route import said_of
from server.console.rendering import HEADERS, render
from server.errors import ApiError, unavailable
from server.services import Services
from server.verbs import Verbs


def incident_pages(router: APIRouter, services: Services, changes: Changes, verbs: Verbs) -> None:
    """Add the pages of one incident."""
    streams = Streams()

    @router.get("/incidents/{number}")
    async def incident(request: Request, number: str, actor: Viewer) -> Response:
        record = await verbs.record_of(number)
        return incident_page(services, request, record, flash=said_of(request))

    @router.get("/incidents/{number}/live")
    async def live(request: Request, number: str, actor: Viewer) -> Response:
        incident_id = await verbs.id_of(number)
        if streams.full:
            raise unavailable("too many pages are being followed")
        seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")

        async def parts() -> dict[str, str]:
            return page_parts(services, request, await verbs.record_of(incident_id))

        events = streams.follow(changes, incident_id, seen, parts, request.is_disconnected)
        return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS | {"X-Accel-Buffering": "no"})

    @router.get("/incidents/{number}/evidence/{evidence_id}")
    async def evidence(request: Request, number: str, evidence_id: str, actor: Viewer) -> Response:
        record = await verbs.record_of(number)
        raw = await services.store.raw(f"{record['id']}/{evidence_id:.50}")
        if raw is None:
            raise ApiError(404, f"#{record['number']} has no whole answer {evidence_id:.60}", remedy="see its evidence")
        return render(request, "raw.html", record=record, evidence_id=evidence_id, raw=raw)
