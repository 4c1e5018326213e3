"""Secrets never leave: not in prompts, logs, traces, records or notifications.

Telemetry is hostile and large: the work stays linear in the length of the text. Rather too much is taken out than too
little, but what only looks random (hashes, ids, paths) stays: a diagnosis lives on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from tools.private_keys import without_private_keys
from tools.secret_shapes import ASSIGNMENT, MASK, SHAPES, Shape

__all__ = ["MASK", "condense", "redact", "redact_once", "redact_tree"]

MAX_DEPTH = 60
_PROBED_CHARS = 40
_SHORT_CHARS = 500

# Terminal sequences whole, then whatever else is no text or turns its direction. Newline and tab stay.
_TERMINAL = re.compile(r"\x1b(?:\[[0-9;?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,300}(?:\x07|\x1b\\))")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def redact(text: str) -> str:
    """The text without secrets and without control characters (newline and tab stay)."""
    return _short(text) if len(text) <= _SHORT_CHARS else redact_once(text)


def redact_once(text: str) -> str:
    """As `redact`, and nothing is remembered: for what does not come by again, as a line of a log."""
    # First the characters that show nothing: a secret's name may hide behind them.
    text = without_private_keys(_CONTROL.sub("", _TERMINAL.sub("", text)))
    folded = _folded(text)
    for shape in SHAPES:
        if _may_hold(folded, shape):
            text = shape.pattern.sub(shape.replacement, text)
    return text


def redact_tree(value: Any) -> Any:
    """The same structure in plain JSON types, ids and times, each text in it redacted, keys too.

    What is under a key that names a secret goes as a whole. What is no plain data is told as its text.
    """
    return _tree(value, 0)


def condense(text: str, max_chars: int) -> str:
    """At most `max_chars` characters: the beginning and, as the end tells more, the greater part of the end."""
    if len(text) <= max_chars:
        return text
    note = f"\n… [{len(text) - max_chars} characters and more left out] …\n"
    room = max_chars - len(note)
    if room <= 0:
        return text[:max_chars]
    head = room // 3
    return text[:head] + note + text[len(text) - (room - head) :]


def _folded(text: str) -> str:
    """As a pattern that minds no case sees it: the two Turkish letters are an i to it."""
    return text.replace("\u0131", "i").replace("\u0130", "i").casefold()


def _may_hold(folded: str, shape: Shape) -> bool:
    for sign in shape.signs:  # a loop: `any` with its generator takes twice the time, and this is asked most
        if sign in folded:
            return True
    return not shape.signs


@lru_cache(maxsize=2_048)
def _short(text: str) -> str:
    """A heal's state comes by again at every step, and what a model is shown at each of its calls: the same words."""
    return redact_once(text)


@lru_cache(maxsize=1_024)
def _may_name(key: str) -> bool:
    return _may_hold(_folded(key), ASSIGNMENT)


def _tree(value: Any, depth: int) -> Any:
    if isinstance(value, Enum):
        return _tree(value.value, depth)
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float | Decimal | UUID | date):
        return value
    if depth >= MAX_DEPTH:
        return MASK
    if isinstance(value, BaseModel):
        return _tree(value.model_dump(), depth)
    if isinstance(value, Mapping):
        return {redact(str(key)): _under(key, item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_tree(item, depth + 1) for item in value]
    return redact(str(value))


def _under(key: Any, value: Any, depth: int) -> Any:
    if isinstance(key, str) and _may_name(key):
        if isinstance(value, str | bytes) and _names(key, value):
            return MASK
        if isinstance(value, list | tuple):
            return [_under(key, item, depth + 1) if depth < MAX_DEPTH else MASK for item in value]
    return _tree(value, depth)


def _names(key: str, value: str | bytes) -> bool:
    """Whether `key` says that its value is a secret, as it would in a text."""
    begins = value[:_PROBED_CHARS] if isinstance(value, str) else "bytes"
    found = ASSIGNMENT.pattern.search(f"{key}={begins}") if begins else None
    return found is not None and found.start() < len(key)
