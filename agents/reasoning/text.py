"""Text from outside made safe to show: one place, so that prompts and records clean and cut alike."""

from __future__ import annotations

from tools.condensing.plain_text import clean as clean


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
