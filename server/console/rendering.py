"""Renders a page, under a policy that lets a browser run and load nothing but what we ship."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_pages = Environment(loader=PackageLoader("server.console"), autoescape=True, undefined=StrictUndefined)


def render(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """The page, for the actor of the request (None on the way to signing in)."""
    actor = getattr(request.state, "actor", None)
    csrf_token = getattr(request.state, "csrf_token", "")
    page = _pages.get_template(template).render(request=request, actor=actor, csrf_token=csrf_token, **context)
    return HTMLResponse(page, status, headers=HEADERS)
