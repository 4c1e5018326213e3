"""Reads the forms of pages: urlencoded, of bounded size (the body limit's), last value of a name counts."""

from __future__ import annotations

from fastapi import Request

from server.access.forms import FORM, fields_of, is_form
from server.errors import ApiError


async def read_form(request: Request) -> dict[str, str]:
    """The form's fields by name. Raises ApiError 400 for what is no form."""
    if not is_form(request.headers):
        raise ApiError(400, f"a form is wanted ({FORM})", "body", "send the page's form")
    return fields_of(await request.body())
