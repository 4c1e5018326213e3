"""An incident's page as it happens: server-sent events, each with one part of the page that has changed.

What has not changed is not sent, so a form that is being filled in stays as it is.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from server.changes import Changes

Parts = Mapping[str, str]
"""Markup by part, in the order of the page."""

HEARTBEAT_SECONDS = 15.0
LONGEST_SECONDS = 600.0
"""Then the browser connects anew: whoever may no longer look is not shown more for ever."""
MAX_STREAMS = 200
RETRY_MILLISECONDS = 2000


class Streams:
    """How many pages are being followed. Bounded: each holds a connection."""

    def __init__(self, limit: int = MAX_STREAMS) -> None:
        self._limit = limit
        self._open = 0

    @property
    def full(self) -> bool:
        return self._open >= self._limit

    async def follow(
        self,
        changes: Changes,
        incident_id: str,
        seen: str,
        parts: Callable[[], Awaitable[Parts]],
        gone: Callable[[], Awaitable[bool]],
    ) -> AsyncIterator[bytes]:
        """Events until the client goes or the time is up. `seen`: the marks of what the page shows."""
        self._open += 1
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
            until, token = time.monotonic() + LONGEST_SECONDS, ""
            shown = seen.split("-")
            while time.monotonic() < until and not await gone():
                told = await changes.events(incident_id, token, HEARTBEAT_SECONDS)
                if told["token"] == token:
                    yield b": still here\n\n"
                    continue
                token = told["token"]
                now = await parts()
                fresh = marks(now)
                for index, (name, markup) in enumerate(now.items()):
                    if index >= len(shown) or shown[index] != fresh[index]:
                        yield event(name, markup, "-".join(fresh))
                shown = fresh
        finally:
            self._open -= 1


def marks(parts: Parts) -> list[str]:
    """A short mark for each part, which changes with it."""
    return [hashlib.sha256(markup.encode()).hexdigest()[:8] for markup in parts.values()]


def event(name: str, data: str, mark: str) -> bytes:
    """One server-sent event."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\nid: {mark}\n{lines}\n".encode()
