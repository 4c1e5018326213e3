"""What every part of the store rests on: one database, one clock, the fleet's rules, and those who listen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from server.store.engine import Database
from server.store.fleet import FleetRules

log = logging.getLogger("selfheal.store")

Listener = Callable[[str], None]


class StoreBase:
    """One database, opened by one process. All times are taken from `now`."""

    def __init__(self, database: Database, now: Callable[[], datetime], rules: FleetRules) -> None:
        self._db = database
        self._now = now
        self._rules = rules
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call this with an incident's id after anything about it was committed."""
        self._listeners.append(listener)

    def _changed(self, incident_id: str | None) -> None:
        for listener in self._listeners:
            try:
                listener(incident_id or "")
            except Exception:  # a listener is a convenience: it must not undo what is committed
                log.exception("a listener of the store failed")
