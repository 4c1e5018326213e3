"""Text from outside made safe to show: one place, so that prompts and records clean and cut alike."""

from __future__ import annotations

import unicodedata

from tools.redaction import redact

_INVISIBLE = {"Cc", "Cf", "Cs", "Co"}


def clean(text: str) -> str:
    """Without secrets, terminal sequences, control, zero-width and direction characters; newline and tab stay."""
    plain = redact(text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(char for char in plain if char in "\n\t" or unicodedata.category(char) not in _INVISIBLE)


def clip(text: str, limit: int) -> str:
    """On one line, at most `limit` characters, with `…` where something was cut."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def shorten(text: str, limit: int) -> str:
    """About `limit` characters over several lines: the beginning and, as logs end with the news, more of the end."""
    cleaned = clean(text).strip()
    if len(cleaned) <= limit:
        return cleaned
    head = limit // 3
    cut = len(cleaned) - limit
    return f"{cleaned[:head]}\n[… {cut} characters cut …]\n{cleaned[head + cut :]}"
