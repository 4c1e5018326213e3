"""Tells those who follow a heal what has changed: by long polling, which works through every proxy and needs no state.

The store wakes who waits in this process; what another process writes is found by looking now and then.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from server.store import NotFound, Store

LOOK_SECONDS = 1.0
TOLD = ("id", "number", "title", "phase", "outcome", "wait_reason", "wake_at", "received_at", "timeline")


class Changes:
    """What happens to incidents, for any number of followers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, set[asyncio.Event]] = {}
        store.listen(self._changed)

    async def events(self, incident_id: str, seen: str, wait_seconds: float) -> dict[str, Any]:
        """The timeline and phase, once their token is another than `seen`, or after the wait. Raises NotFound."""
        left = wait_seconds
        while True:
            news = self._expect(incident_id)
            try:
                record = await self._store.incident(incident_id)
                if record is None:
                    raise NotFound(f"no incident {incident_id!r}")
                told = events_of(record)
                if told["token"] != seen or left <= 0:
                    return told
                pause = min(LOOK_SECONDS, left)
                await _set_within(news, pause)
                left -= pause
            finally:
                self._forget(incident_id, news)

    def _expect(self, incident_id: str) -> asyncio.Event:
        event = asyncio.Event()
        self._waiting.setdefault(incident_id, set()).add(event)
        return event

    def _forget(self, incident_id: str, event: asyncio.Event) -> None:
        others = self._waiting.get(incident_id, set())
        others.discard(event)
        if not others:
            self._waiting.pop(incident_id, None)

    def _changed(self, incident_id: str) -> None:
        for event in self._waiting.get(incident_id, ()):
            event.set()


def events_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a record that is followed, with a token that stands for it."""
    told = {name: record.get(name) for name in TOLD}
    token = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return {"token": token, **told}


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set or the time is over, whichever comes first."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waiting}, timeout=seconds)
    finally:
        waiting.cancel()
