"""Reads request bodies that may be hostile: too large, not JSON, nested to the sky, or text no database takes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import ApiError

MAX_DEPTH = 50


class BodyLimit:
    """ASGI middleware: answers 413 as soon as a body is seen to exceed the limit, without holding more than that."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > self.max_bytes:
            await self._too_large().response()(scope, receive, send)
            return
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.max_bytes:
                raise self._too_large()
            return message

        await self.app(scope, limited, send)

    def _too_large(self) -> ApiError:
        remedy = (
            "send fewer alerts at once (`max_alerts` of Alertmanager's webhook_config), or raise limits.max_body_bytes"
        )
        return ApiError(413, f"the body is larger than {self.max_bytes} bytes", "body", remedy)


class StrictRequest(Request):
    """A request whose JSON is read strictly, whatever its content type says."""

    async def json(self) -> Any:
        return read_json(await self.body())


class StrictRoute(APIRoute):
    """Gives every handler of a router StrictRequests, so that FastAPI validates what `read_json` let through."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


def read_json(body: bytes) -> Any:
    """The JSON in a body, lone surrogates replaced. Raises ApiError 400, which names the position where it breaks."""
    try:
        content = json.loads(body.decode("utf-8-sig"), **_NUMBERS)
    except UnicodeDecodeError as error:
        raise _malformed(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno} (character {error.pos})"
        raise _malformed(f"not JSON at {where}: {error.msg}") from None
    except RecursionError:
        raise _too_deep() from None
    return _storable(content, 0)


def _storable(value: Any, depth: int) -> Any:
    """NUL and lone surrogates are valid JSON but no text that every database takes or every answer can hold."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_storable(key, depth + 1): _storable(item, depth + 1) for key, item in value.items()}
    return value


def _no_constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is no JSON number")


def _bounded_int(digits: str) -> int:
    if len(digits) > 19:
        raise _malformed(f"a number of {len(digits)} digits is too large")
    return int(digits)


def _finite_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _malformed(f"the number {digits:.30} is too large")
    return number


_NUMBERS: dict[str, Any] = {"parse_constant": _no_constant, "parse_int": _bounded_int, "parse_float": _finite_float}


def _too_deep() -> ApiError:
    return _malformed(f"nested more than {MAX_DEPTH} levels deep")


def _malformed(problem: str) -> ApiError:
    return ApiError(400, f"the body is {problem}" if problem.startswith("not ") else problem, "body", "send valid JSON")
