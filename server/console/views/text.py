"""Text that may stem from hostile telemetry, made harmless to read: what can't be seen is made visible.

Escaping is the templates' (they do it for everything); this keeps a label from turning what an operator reads around.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime

KEPT = "\n\t"
_UNSEEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def shown(value: object, limit: int = 0) -> str:
    """The text with control, format and direction characters written out (`[U+202E]`), cut where there is a limit."""
    text = "" if value is None else str(value)
    if limit and len(text) > limit:
        text = f"{text[: limit - 1]}…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _seen(char) else f"[U+{ord(char):04X}]" for char in text)


def line(value: object, limit: int = 300) -> str:
    """One line of it."""
    return shown(" ".join(str("" if value is None else value).split()), limit)


def words(value: object) -> str:
    """`waiting_approval` → `waiting approval`."""
    return line(value).replace("_", " ")


def utc(value: object) -> str:
    """`2026-01-31 03:04:05 UTC` of an ISO time; empty for none."""
    at = moment(value)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def clock(value: object) -> str:
    """`03:04:05` of an ISO time."""
    at = moment(value)
    return f"{at:%H:%M:%S}" if at else ""


def moment(value: object) -> datetime | None:
    """The time that ISO text says, or None."""
    try:
        return datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None


def _seen(char: str) -> bool:
    return char in KEPT or char.isprintable() or unicodedata.category(char) not in _UNSEEN
