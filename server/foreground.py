"""Heals in this process, without a server or a queue: what `selfheal heal` does where no server answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from server.alert_bodies import ReceivedGroup
from server.changes import Changes
from server.editing import edited_plan
from server.follow import ENDED
from server.lock import sole_process
from server.preflight import prepare
from server.runtime import Healing, load_healing
from server.services import Runtime, Services
from server.settings import Settings
from server.store import Accepted

WAIT_SECONDS = 10.0
PAUSE_SECONDS = 0.5
DRAIN_SECONDS = 60.0
NOTICES_SECONDS = 10.0


class Foreground:
    """One process's own heals: takes on alerts, runs their legs one after the other, and can be followed."""

    def __init__(self, services: Services, healing: Healing) -> None:
        self._services = services
        self._healing = healing
        self._changes = Changes(services.store)
        self._driven: dict[str, asyncio.Task[None]] = {}

    async def take_on(self, received: ReceivedGroup) -> Sequence[Accepted]:
        """Store the alerts and begin to heal what they opened or joined."""
        services = self._services
        accepted = await services.store.accept(received.group, services.place, services.settings.limits.max_queued)
        for item in accepted:
            if item.incident_id is not None and item.incident_id not in self._driven:
                self._driven[item.incident_id] = asyncio.create_task(self._drive(item.incident_id))
        return accepted

    async def events(self, reference: str, seen: str) -> dict[str, Any]:
        driving = self._driven[reference]
        if driving.done() and (error := driving.exception()) is not None:
            raise error
        return await self._changes.events(reference, seen, WAIT_SECONDS)

    async def record(self, reference: str) -> dict[str, Any]:
        record = await self._services.store.incident(reference)
        assert record is not None, "what was taken on is in the store"
        return record

    async def decide(self, reference: str, body: Mapping[str, Any]) -> None:
        decision, by = str(body["decision"]), str(body["by"])
        plan = await edited_plan(self._services, reference, None, decision, by)
        comment = str(body.get("comment", ""))
        await self._services.store.decide(reference, decision, str(body["plan_fingerprint"]), by, comment, plan)

    async def stop(self) -> None:
        """Let heals rest after the step under way, and notices go out; a server takes up what is not finished."""
        await self._healing.runner.stop()
        if unfinished := [task for task in self._driven.values() if not task.done()]:
            for task in unfinished:
                task.cancel()
            await asyncio.wait(unfinished, timeout=DRAIN_SECONDS)
        with suppress(TimeoutError):  # What could not be sent now stays in the outbox.
            await asyncio.wait_for(self._healing.notices.drain(), NOTICES_SECONDS)

    async def _drive(self, incident_id: str) -> None:
        store = self._services.store
        while True:
            mine = next((item for item in await store.runnable(1000) if item.incident_id == incident_id), None)
            if mine is not None:
                # Shielded: a leg ends by being drained, never in the middle of a side effect.
                leg = asyncio.ensure_future(self._healing.runner.run_leg(incident_id, mine.leg))
                try:
                    await asyncio.shield(leg)
                except asyncio.CancelledError:
                    await leg
                    raise
                continue
            record = await store.incident(incident_id)
            if record is None or record["phase"] in ENDED:
                return
            await asyncio.sleep(PAUSE_SECONDS if record["phase"] != "running" else PAUSE_SECONDS / 5)


@asynccontextmanager
async def foreground(settings: Settings) -> AsyncIterator[Foreground]:
    """This process as the only one on the store. Raises Locked, ConfigError, StoreError."""
    with sole_process(settings.database_file):
        services = prepare(settings)
        try:
            async with load_healing(services) as healing:
                services.runtime = Runtime(healing.actions, lambda: None)
                here = Foreground(services, healing)
                try:
                    yield here
                finally:
                    await here.stop()
        finally:
            await services.store.close()
