"""Tells the other processes on a PostgreSQL database that something was committed, so that nobody has to poll for it.

Only a convenience: whoever misses a ring finds what is new at the next look.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
from collections.abc import Callable
from typing import Literal

import psycopg

from server.store.postgres import CONNECT_SECONDS, plain_url

log = logging.getLogger("selfheal.store")

News = Literal["told", "moved"]
"""A heal has told something of itself; or something has happened that others may have to act upon."""

CHANNEL = "selfheal"
LISTEN_SECONDS = 1.0
RECONNECT_SECONDS = 2.0
MOST_IDS = 100
"""As many incidents' ids fit into one notification; more are told as "many things"."""


class Bell:
    """Rings for the others, and hears them. `heard` is called on `loop` with an incident's id or "", and what sort of
    news it is."""

    def __init__(self, url: str, heard: Callable[[str, News], None], loop: asyncio.AbstractEventLoop) -> None:
        self._url = plain_url(url)
        self._heard = heard
        self._loop = loop
        self._me = secrets.token_hex(4)
        self._news: dict[News, set[str]] = {"told": set(), "moved": set()}
        self._lock = threading.Lock()
        self._rung = threading.Event()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=(work,), name=f"store-{name}", daemon=True)
            for name, work in (("listen", self._listen), ("ring", self._send))
        ]
        for thread in self._threads:
            thread.start()

    def ring(self, incident_id: str, news: News) -> None:
        """Tell the others, soon; never waits."""
        with self._lock:
            self._news[news].add(incident_id)
        self._rung.set()

    async def close(self) -> None:
        self._closed.set()
        self._rung.set()
        await asyncio.gather(*(asyncio.to_thread(thread.join, 2 * LISTEN_SECONDS) for thread in self._threads))

    def _keep(self, work: Callable[[psycopg.Connection], None]) -> None:
        while not self._closed.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
                    work(connection)
            except psycopg.Error as error:
                log.debug("the other processes can't be told or heard now: %s", error)
                self._closed.wait(RECONNECT_SECONDS)

    def _listen(self, connection: psycopg.Connection) -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        self._call("", "moved")  # What was missed while nobody listened.
        while not self._closed.is_set():
            for notification in connection.notifies(timeout=LISTEN_SECONDS):
                sender, news, ids = notification.payload.split(" ", 2)
                if sender != self._me:
                    for incident_id in ids.split(","):
                        self._call(incident_id, "told" if news == "told" else "moved")

    def _send(self, connection: psycopg.Connection) -> None:
        while not self._closed.is_set():
            self._rung.wait()
            self._rung.clear()
            with self._lock:
                found, self._news = self._news, {"told": set(), "moved": set()}
            for news, ids in found.items():
                if ids:
                    listed = ",".join(sorted(ids)) if len(ids) <= MOST_IDS else ""
                    connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"{self._me} {news} {listed}"))

    def _call(self, incident_id: str, news: News) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(self._heard, incident_id, news)
