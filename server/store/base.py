"""What every part of the store rests on: one database, one clock, the fleet's rules, and those who listen."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection

from server.store.engine import Database, StoreBusy
from server.store.fleet import FleetRules

if TYPE_CHECKING:
    from server.store.bell import Bell, News

log = logging.getLogger("selfheal.store")

Listener = Callable[[str], None]
PATIENT_SECONDS = 30.0
PATIENT_PAUSE = 0.5

T = TypeVar("T")


class StoreBase:
    """One database, opened by one process. All times are taken from `now`."""

    def __init__(self, database: Database, now: Callable[[], datetime], rules: FleetRules) -> None:
        self._db = database
        self._now = now
        self._rules = rules
        self._listeners: list[tuple[Listener, bool]] = []
        self._bell: Bell | None = None

    def keep_off_the_loop(self) -> None:
        """Read nothing in the event loop: it is somebody else's, who minds (LangGraph's development server)."""
        self._db.glances = False

    def time(self) -> datetime:
        """The store's clock: what waits is timed by it."""
        return self._now()

    @property
    def shared(self) -> bool:
        """Whether other processes may have this database open too."""
        return self._db.url is not None

    def listen(self, listener: Listener, *, told: bool = True) -> None:
        """Call this with an incident's id after anything about it was committed; "" stands for any.

        `told=False`: not for each sentence that a heal tells of itself.
        """
        self._listeners.append((listener, told))

    def hear_others(self) -> None:
        """From now on also call the listeners, on this event loop, for what other processes commit, and tell them."""
        if self._bell is None and (url := self._db.url) is not None:
            from server.store.bell import Bell  # with the driver of PostgreSQL, which SQLite's start need not load

            self._bell = Bell(url, self._heard, asyncio.get_running_loop())

    async def close(self) -> None:
        if self._bell is not None:
            await self._bell.close()
            self._bell = None
        await self._db.close()

    def _changed(self, incident_id: str | None, news: News = "moved") -> None:
        self._heard(incident_id or "", news)
        if self._bell is not None:
            self._bell.ring(incident_id or "", news)

    def _heard(self, incident_id: str, news: News = "moved") -> None:
        for listener, told in self._listeners:
            if news == "told" and not told:
                continue
            try:
                listener(incident_id)
            except Exception:  # a listener is a convenience: it must not undo what is committed
                log.exception("a listener of the store failed")

    async def _patiently(self, work: Callable[[Connection], T]) -> T:
        """Write what is known only here and now, such as the end of a side effect, though the database be away for
        a while. `work` may be done twice. Raises StoreError when it stays away."""
        until = time.monotonic() + PATIENT_SECONDS
        while True:
            try:
                return await self._db.write(work)
            except StoreBusy as error:
                if time.monotonic() > until:
                    raise
                log.warning("what must not be lost could not be written, it is tried again: %s", error)
                await asyncio.sleep(PATIENT_PAUSE)
