"""What is wrong with a question, in words that help to put it right: which param, and what it may be."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from tools.condensing.plain_text import one_line, within

_MAX_BYTES = 260
_NAME_BYTES = 40


def objection(error: ValidationError, params: type[BaseModel]) -> str:
    """`unit may be one of nginx, app`: the first problem, short enough for the record."""
    found = error.errors(include_url=False, include_input=False)[0]
    fields = params.model_json_schema().get("properties", {})
    name = one_line(str(found["loc"][0]), _NAME_BYTES) if found["loc"] else "params"
    if found["type"] == "extra_forbidden" or name not in fields:
        there_are = ", ".join(fields) or "none"
        return within(f"there is no param {name!r}; there are: {there_are}", _MAX_BYTES)
    if found["type"] == "value_error":
        return within(f"{name}: {found['msg'].removeprefix('Value error, ')}", _MAX_BYTES)
    missing = " is missing: it" if found["type"] == "missing" else ""
    return within(f"{name}{missing} may be {may_be(fields[name])}", _MAX_BYTES)


def may_be(field: dict[str, Any]) -> str:
    """What a param may be, by its JSON schema: `one of a, b`, `a whole number 1..1440`, `text of 1..500 characters`."""
    if "enum" in field:
        return f"one of {', '.join(map(str, field['enum']))}"
    if "const" in field:
        return f"only {field['const']}"
    if field.get("type") == "integer":
        return f"a whole number {field.get('minimum', '')}..{field.get('maximum', '')}"
    if field.get("type") == "string":
        return f"text of {field.get('minLength', 0)}..{field.get('maxLength', '')} characters"
    return str(field.get("type", "something else"))
