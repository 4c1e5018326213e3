"""Renders a page, under a policy that lets a browser run and load nothing but what we ship."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChainableUndefined, Environment, PackageLoader

from server.console.views import incident as incident_view
from server.console.views.text import clock, line, shown, utc, words

SAID = "selfheal_said"
"""The cookie that carries one sentence from a form's answer to the page it leads back to."""
STATIC = Path(__file__).parent / "static"

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


@cache
def static_url(name: str) -> str:
    """Where a shipped file is served, with a mark of its content: it may be kept for ever."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def _environment() -> Environment:
    pages = Environment(
        loader=PackageLoader("server.console"),
        autoescape=True,
        # A record of an older release may lack what this one shows: better a gap than no page at 3 a.m.
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"shown": shown, "line": line, "words": words, "utc": utc, "clock": clock}
    pages.filters |= {"tone": incident_view.tone, "state": incident_view.state}
    pages.globals |= {"static_url": static_url}
    return pages


_pages = _environment()


def html(request: Request, template: str, **context: Any) -> str:
    """The markup alone, for the actor of the request (None on the way to signing in)."""
    actor = getattr(request.state, "actor", None)
    csrf_token = getattr(request.state, "csrf_token", "")
    return _pages.get_template(template).render(request=request, actor=actor, csrf_token=csrf_token, **context)


def render(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """The page, with the headers every page has."""
    response = HTMLResponse(html(request, template, **context), status, headers=HEADERS)
    if context.get("flash"):
        response.delete_cookie(SAID, path=request.url.path)
    return response
