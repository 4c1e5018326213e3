"""Reads the forms of pages: urlencoded, of bounded size (the body limit's), last value of a name counts."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request

from server.errors import ApiError

MAX_FIELDS = 500


async def read_form(request: Request) -> dict[str, str]:
    """The form's fields by name. Raises ApiError 400 for what is no form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise ApiError(400, f"a form is wanted, not {kind or 'nothing'}", "body", "send the page's form")
    body = (await request.body()).decode("utf-8", "replace")
    try:
        fields = parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise ApiError(400, f"the form can't be read: {error}", "body", "send the page's form") from error
    return {name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, value in fields}
