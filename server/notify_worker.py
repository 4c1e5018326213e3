"""Tells people what the store holds for them, until it has arrived, however long the other side is away.

One target never waits for another: each is served by a task of its own, one notice after the other, and by one process
at a time. Each notice is logged as well, and where nobody is configured, that is all that was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from graph.ports import TemporaryError
from server.notice_story import message
from server.notify_targets import Directory
from server.store import Delivery, Store
from tools.notify import Notifier

log = logging.getLogger("selfheal.notices")

LOOK_SECONDS = 5.0
TURN_SECONDS = 60.0
BETWEEN_LOOKS_SECONDS = 0.2
"""News come with every commit; people read slower than that."""
MAX_WAIT_SECONDS = 3600.0
MAX_TARGET_WAIT_SECONDS = 300.0
GIVE_UP_AFTER = timedelta(days=3)


class NotifyWorker:
    """Settles who is told, and tells them. `link_base`: where people reach this server, without a slash at its end."""

    def __init__(self, store: Store, directory: Directory, link_base: str, name: str = "") -> None:
        self._store = store
        self._name = name
        self._directory = directory
        self._link_base = link_base
        self._news = asyncio.Event()
        self._settling = asyncio.Lock()
        self._serving: dict[str, asyncio.Task[int]] = {}
        self._failures: dict[str, int] = {}
        store.listen(self._changed, told=False)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._news.clear()
                try:
                    await self._begin()
                except Exception:  # whatever it is, notices must go on being sent
                    log.exception("notices can't be worked on; it is tried again")
                with contextlib.suppress(TimeoutError):  # What has come due without news is looked for anyway.
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._news.wait()
                await asyncio.sleep(BETWEEN_LOOKS_SECONDS)
        finally:
            for task in self._serving.values():
                task.cancel()
            await asyncio.gather(*self._serving.values(), return_exceptions=True)

    async def drain(self) -> int:
        """Try everything that is due, once. Returns how many notices were tried."""
        await self._begin()
        tried = await asyncio.gather(*self._serving.values(), return_exceptions=True)
        return sum(number for number in tried if isinstance(number, int))

    def _changed(self, incident_id: str) -> None:
        self._news.set()

    async def _begin(self) -> None:
        """Settle who is told what, and serve every target that something waits for."""
        async with self._settling:
            while new := await self._store.settle_notices(self._directory.telling):
                for payload in new:
                    _say(payload)
            self._serving = {name: task for name, task in self._serving.items() if not task.done()}
            for name in await self._store.targets_due():
                if name in self._directory.notifiers and name not in self._serving:
                    self._serving[name] = asyncio.create_task(self._serve(name), name=f"notify {name}")

    async def _serve(self, name: str) -> int:
        """Tell one target what waits for it; at a failure the rest waits as well, as it would fail too."""
        notifier, tried = self._directory.notifiers[name], 0
        try:
            while await self._mine(name) and (
                found := await self._store.claim_deliveries(self._directory.telling, name)
            ):
                for delivery in found:
                    if tried and not await self._mine(name):
                        return tried
                    tried += 1
                    if not await self._deliver(notifier, delivery):
                        await self._rest(name)
                        return tried
                    self._failures.pop(name, None)
            self._news.set()  # What came in this very moment is not left to the next look.
        except Exception:  # an error of ours, with this target: it is tried again with what comes next
            log.exception("the target %s can't be told; it is tried again", name)
        return tried

    async def _mine(self, target: str) -> bool:
        """Whether this process is the one that serves a target."""
        if not self._store.shared:
            return True
        return await self._store.workers.on_duty(f"notify {target}"[:50], self._name, TURN_SECONDS)

    async def _rest(self, name: str) -> None:
        failures = self._failures.get(name, 0)
        self._failures[name] = failures + 1
        seconds = min(MAX_TARGET_WAIT_SECONDS, retry_wait(failures, permanent=False))
        await self._store.postpone_deliveries(name, self._store.time() + timedelta(seconds=seconds))

    async def _deliver(self, notifier: Notifier, delivery: Delivery) -> bool:
        try:
            record = await self._store.incident(delivery.incident_id) if delivery.incident_id else None
            told = message(delivery.payload, record, self._link_base, delivery.folded)
            await notifier.send({**delivery.payload, **told})
        except Exception as error:  # whatever it is: this one waits, and the others go on
            now = self._store.time()
            again = retry_at(delivery, now, permanent=not isinstance(error, TemporaryError))
            when = f"again in {(again - now).total_seconds():.0f} s" if again else "given up"
            log.warning("notice %s of incident #%s: %s; %s", delivery.id, delivery.payload.get("number"), error, when)
            await self._store.not_delivered(delivery.id, again, str(error))
            return False
        await self._store.delivered(delivery.id)
        return True


def retry_at(delivery: Delivery, now: datetime, *, permanent: bool) -> datetime | None:
    """When to try again what did not arrive; None where nobody would care any more."""
    again = now + timedelta(seconds=retry_wait(delivery.tries, permanent=permanent))
    return again if again < delivery.created_at + GIVE_UP_AFTER else None


def retry_wait(tries: int, *, permanent: bool) -> float:
    """Seconds to wait after so many tries: 1, 2, 4 … an hour; at least a minute where a human must mend it."""
    wait = min(MAX_WAIT_SECONDS, 2.0 ** min(tries, 12))
    return max(wait, 60.0) if permanent else wait


def _say(payload: Mapping[str, Any]) -> None:
    log.warning(
        "%s: incident #%s on %s: %s",
        str(payload.get("event", "notice")).replace("_", " "),
        payload.get("number"),
        payload.get("resource"),
        payload.get("reason"),
    )
