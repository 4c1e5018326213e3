"""Routes whose errors are pages too: a browser gets words and a way back, never a line of JSON."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from server.console.rendering import SAID, render
from server.errors import ApiError
from server.settings_errors import path_text


class PageRoute(APIRoute):
    """Answers errors with a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def page(request: Request) -> Response:
            try:
                return await handler(request)
            except ApiError as error:
                return error_page(request, error.status_code, error.body)
            except RequestValidationError as error:
                first = error.errors()[0]
                field = path_text([part for part in first["loc"] if part not in ("body", "query", "path")])
                return error_page(
                    request, 422, {"error": f"{field}: {first['msg']}", "remedy": "go back and correct it"}
                )
            except HTTPException as error:
                return error_page(request, error.status_code, {"error": str(error.detail), "remedy": None})

        return page


def error_page(request: Request, status: int, problem: dict[str, Any]) -> Response:
    """What went wrong, what to do, and the way back."""
    heading = {403: "Not allowed", 404: "Not found", 409: "Too late", 422: "That can't be done"}.get(
        status, HTTPStatus(status).phrase
    )
    told = {"error": problem.get("error", heading), "remedy": problem.get("remedy")}
    return render(request, "error.html", status, code=status, heading=heading, problem=told, back=_origin(request))


def back_to(path: str, said: str = "") -> RedirectResponse:
    """Back to a page by GET, so that a reload repeats nothing; `said` is shown there once.

    By a cookie, not in the address: a link that somebody sends must not say that something was approved.
    """
    response = RedirectResponse(path, 303)
    if said:
        response.set_cookie(SAID, quote(said[:400]), max_age=60, path=path, httponly=True, samesite="strict")
    return response


def said_of(request: Request) -> str:
    """What the last form's answer was to say on this page."""
    return unquote(request.cookies.get(SAID, ""))


def _origin(request: Request) -> str:
    """The page the browser came from, where it is one of ours."""
    came = urlsplit(request.headers.get("referer", ""))
    here = request.headers.get("host", "")
    return came.path if came.netloc == here and came.path.startswith("/") else "/incidents"
