"""How the HTTP API says no: always `{"error", "field"?, "remedy"?}`, never a traceback and never what was sent."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from server.settings_errors import path_text

log = logging.getLogger("selfheal.http")


class Problem(BaseModel):
    """What every answer of 400 and above holds."""

    error: str
    field: str | None = None
    remedy: str | None = None


class ApiError(HTTPException):
    """An answer that is no success. A subclass of HTTPException, so that no framework layer rewords it."""

    def __init__(
        self,
        status: int,
        error: str,
        field: str | None = None,
        remedy: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, error, dict(headers or {}))
        self.body = {"error": error, "field": field, "remedy": remedy, **more}

    def response(self) -> JSONResponse:
        content = {key: value for key, value in self.body.items() if value is not None}
        return JSONResponse(content, self.status_code, headers=self.headers)


def not_found(reference: str) -> ApiError:
    return ApiError(404, f"there is no incident {reference:.80}", "id", "list them with GET /api/incidents")


def unavailable(error: str, retry_after_seconds: int = 5) -> ApiError:
    """503 that Alertmanager retries."""
    return ApiError(503, error, remedy="send it again later", headers={"Retry-After": str(retry_after_seconds)})


def explain_errors(app: FastAPI) -> None:
    """Make every error of the app come out in the one shape."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, unforeseen)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, ApiError):
        return error.response()
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase.lower()
    remedy = "see /docs for the paths there are" if error.status_code == 404 else None
    if error.status_code == 405:
        remedy = f"use {(error.headers or {}).get('Allow', 'another method')}"
    said = f"{request.method} {request.url.path:.200}: {phrase}"
    return ApiError(error.status_code, said, remedy=remedy, headers=error.headers).response()


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    location = [part for part in first["loc"] if part not in ("body", "query", "path")]
    message = str(first["msg"]).removeprefix("Value error, ")
    field = path_text(location) or "body"
    return ApiError(422, f"{field}: {message}", field, "see /docs for what is expected").response()


async def unforeseen(request: Request, error: Exception) -> JSONResponse:
    """What is nobody's to mend but ours: told in the log, with a reference to it in the answer."""
    reference = uuid.uuid4().hex[:8]
    log.error("%s %s failed (reference %s)", request.method, request.url.path, reference, exc_info=error)
    said = f"this should not have happened; the server's log has the details under reference {reference}"
    return ApiError(500, said, remedy="report it with that reference").response()
