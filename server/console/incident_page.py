"""The page of one incident: its parts, and the whole with what went wrong and what was typed."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from graph.kind import NO_FAULT, UNKNOWN_CAUSE
from server.console.live import marks
from server.console.rendering import html, render
from server.console.views import incident as view
from server.errors import ApiError
from server.services import Services

PARTS = ("headline", "decision", "verification", "timeline", "evidence", "record")


def page_parts(services: Services, request: Request, record: dict[str, Any], **more: Any) -> dict[str, str]:
    """Markup by part, in the order of the page."""
    context = _context(services, record) | {"typed": {}, **more}
    return {name: html(request, f"parts/{name}.html", **context) for name in PARTS}


def incident_page(
    services: Services,
    request: Request,
    record: dict[str, Any],
    status: int = 200,
    problem: dict[str, Any] | None = None,
    typed: dict[str, str] | None = None,
    flash: str = "",
) -> Response:
    """The whole page; `problem` is what went wrong, `typed` what a form had in it."""
    seen = "-".join(marks(page_parts(services, request, record)))
    context = _context(services, record) | {"typed": typed or {}, "problem": problem, "flash": flash}
    return render(request, "incident.html", status, parts=PARTS, seen=seen, **context)


def problem_of(error: ApiError) -> dict[str, Any]:
    """What a page tells of an error."""
    return {"error": error.body["error"], "remedy": error.body.get("remedy")}


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
