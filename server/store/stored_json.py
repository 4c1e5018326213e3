"""JSON as SQLite keeps it: written and read by orjson, and by the slower `json` where that can't."""

from __future__ import annotations

import json
from typing import Any

import orjson


def json_text(value: Any) -> str:
    """JSON as it is stored."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # What orjson can't write, as half a pair of surrogates or a number of more than 64 bits.
        return json.dumps(value)


def json_value(text: str) -> Any:
    """What JSON says that was stored, by an earlier release as well: that wrote NaN, too."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
