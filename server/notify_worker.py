"""Sends what is in the outbox until it arrives, however long the other side is away. Each notice is logged as well."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from graph.ports import PermanentError, TemporaryError
from server.store import Notice, Store
from tools.notify import Notifier

log = logging.getLogger("selfheal.notices")

LOOK_SECONDS = 5.0
MAX_WAIT_SECONDS = 3600.0


class NotifyWorker:
    """Drains the outbox. Without a notifier notices are logged, and that is all that was asked for."""

    def __init__(self, store: Store, notifier: Notifier | None) -> None:
        self._store = store
        self._notifier = notifier
        self._news = asyncio.Event()
        self._draining = asyncio.Lock()
        store.listen(self._changed)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._news.clear()
            try:
                busy = await self.drain()
            except Exception:  # whatever it is, notices must go on being sent
                log.exception("the outbox can't be worked on; it is tried again")
                busy = 0
            if busy == 0:
                with contextlib.suppress(
                    TimeoutError
                ):  # Nothing new: retries that have come due are looked for anyway.
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._news.wait()

    async def drain(self) -> int:
        """Try every notice that is due, once. Returns how many there were."""
        async with self._draining:
            due = await self._store.due_notices()
            for notice in due:
                await self._deliver(notice)
            return len(due)

    def _changed(self, incident_id: str) -> None:
        self._news.set()

    async def _deliver(self, notice: Notice) -> None:
        if notice.tries == 0:
            _say(notice.payload)
        try:
            if self._notifier is not None:
                await self._notifier.send(notice.payload)
        except (TemporaryError, PermanentError) as error:
            wait = retry_wait(notice.tries, permanent=isinstance(error, PermanentError))
            log.warning(
                "notice %s of incident #%s: %s; again in %.0f s", notice.id, notice.payload.get("number"), error, wait
            )
            await self._store.notice_failed(notice.id, datetime.now(UTC) + timedelta(seconds=wait))
        else:
            await self._store.notice_sent(notice.id)


def retry_wait(tries: int, *, permanent: bool) -> float:
    """Seconds to wait after so many tries: 1, 2, 4 … an hour; at least a minute where a human must mend it."""
    wait = min(MAX_WAIT_SECONDS, 2.0 ** min(tries, 12))
    return max(wait, 60.0) if permanent else wait


def _say(payload: Any) -> None:
    log.warning(
        "%s: incident #%s on %s: %s",
        str(payload.get("event", "notice")).replace("_", " "),
        payload.get("number"),
        payload.get("resource"),
        payload.get("reason"),
    )
