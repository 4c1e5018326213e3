"""Reads urlencoded forms in ASGI middleware: bounded, and given back so that the route can read the body again."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from server.errors import ApiError

MAX_FIELDS = 500
FORM = "application/x-www-form-urlencoded"


def is_form(headers: Headers) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def fields_of(body: bytes) -> dict[str, str]:
    """The fields by name, the last of a name. Raises ApiError 400."""
    try:
        found = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise ApiError(400, f"the form can't be read: {error}", "body", "send the page's form") from error
    return {name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, value in found}


async def read_ahead(receive: Receive, max_bytes: int) -> tuple[bytes, Receive]:
    """The whole body, and a `receive` that tells it once more. Raises ApiError 413."""
    messages: list[Message] = []
    size, more = 0, True
    while more:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if size > max_bytes:
            raise ApiError(413, f"the body is larger than {max_bytes} bytes", "body", "send less at once")
        more = message["type"] == "http.request" and bool(message.get("more_body"))
    body = b"".join(message.get("body", b"") for message in messages)
    told = iter(messages)

    async def again() -> Message:
        message = next(told, None)
        return await receive() if message is None else message

    return body, again
