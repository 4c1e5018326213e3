"""Silences the alerts of what is being repaired, and lets them ring again the moment it is not.

The store tells what should be silenced, a table beside it what is: the difference is made good, again and again, so
that neither a crash nor an Alertmanager that is away leaves anything behind. No heal waits for it or fails by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from graph.ports import PermanentError, TemporaryError
from graph.records import Alert, AlertGroup, Policy
from graph.rules.classify import Placed
from server.metrics import Metrics
from server.silencing_rules import Present, Wanted, changes, comment_of, incident_of, orphans, wanted
from server.store import Store
from tools.clients.alertmanager import AlertmanagerClient, Silence
from tools.suppressions import OURS

log = logging.getLogger("selfheal.silences")

LOOK_SECONDS = 5.0
RELEASE_SECONDS = 5.0
SKEW = timedelta(minutes=5)
"""Silences begin so long ago: where Alertmanager's clock is behind ours they would begin too late. It takes its now."""

OfIncident = TypeVar("OfIncident", Present, Wanted)


@dataclass(frozen=True)
class Silencing:
    """How it is to be done. `condition`: whether Prometheus shows an alert's condition now, None where it can't say."""

    enabled: bool
    lasts: timedelta
    policies: Sequence[Policy]
    dry_run: bool
    link: Callable[[int], str]
    place: Callable[[Alert], Placed]
    condition: Callable[[Alert], Awaitable[bool | None]]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


class Silencer:
    """One server's silences in one Alertmanager."""

    def __init__(self, store: Store, client: AlertmanagerClient, how: Silencing, metrics: Metrics) -> None:
        self._store = store
        self._client = client
        self._how = how
        self._metrics = metrics
        self._news = asyncio.Event()
        self._swept = False
        """Whether silences that we may have put without knowing it have been looked for."""
        self._said = ""
        store.listen(lambda incident_id: self._news.set())

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._news.clear()
            if not await self._tried(self._how.enabled):
                await asyncio.sleep(LOOK_SECONDS)  # Whatever is told meanwhile: who is away is not asked at every turn.
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()

    async def release(self) -> None:
        """Let everything ring again, as nobody extends or ends our silences from now on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._tried(False)

    async def reconcile(self, enabled: bool = True) -> None:
        """Once. Raises TemporaryError, PermanentError and what the store raises; the rest is done all the same."""
        now, store = self._how.now(), self._store.silences
        present = await store.all()
        heals = await store.under_way() if enabled else []
        if not self._swept:
            await self._sweep(present)
        todo = changes(wanted(heals, self._how.policies, self._how.dry_run), present, now, self._how.lasts)
        failures: list[Exception] = []
        numbers = {heal.incident.id: heal.incident.number for heal in heals}
        for incident_id, removed in _by_incident(todo.remove):
            await _collect(failures, self._remove(incident_id, removed))
        for item in todo.extend:
            await _collect(failures, self._extend(item, numbers[item.incident_id], now))
        for incident_id, added in _by_incident(todo.put):
            await _collect(failures, self._put(incident_id, added, now))
        if failures:
            raise failures[0]

    async def _tried(self, enabled: bool) -> bool:
        try:
            await self.reconcile(enabled)
        except Exception as error:  # whatever it is, silences must go on being looked after
            self._metrics.silencing_failed()
            expected = isinstance(error, TemporaryError | PermanentError)
            said = f"silences can't be put right, it is tried again: {error if expected else type(error).__name__}"
            if said != self._said:
                log.warning(said, exc_info=None if expected else error)
            self._said = said
            return False
        self._said = ""
        return True

    # -- putting -----------------------------------------------------------------------------------------

    async def _put(self, incident_id: str, items: Sequence[Wanted], now: datetime) -> None:
        until = now + self._how.lasts
        done = 0
        try:
            for item in items:
                await self._put_one(item, now, until)
                done += 1
        finally:
            if done:
                many = f"{done} alert{'s' if done > 1 else ''}"
                sentence = f"silenced {many} in Alertmanager until {until:%H:%M} UTC while repairing, longer if need be"
                await self._store.silences.tell(incident_id, f"silenced:{now.timestamp()}", sentence)

    async def _put_one(self, item: Wanted, now: datetime, until: datetime) -> None:
        comment = comment_of(item.number, item.incident_id, self._how.link(item.number))
        # What is put and not written down, as we die or get no answer, is swept.
        self._swept = False
        silence_id = await self._client.put(item.alert.labels, now - SKEW, until, OURS, comment)
        await self._store.silences.keep(Present(item.incident_id, item.alert.fingerprint, silence_id, until))
        self._swept = True

    async def _extend(self, item: Present, number: int, now: datetime) -> None:
        found = await self._client.silence(item.silence_id)
        if found is None or not found.active:
            await self._lifted(item, found, now)
            return
        until = now + self._how.lasts
        comment = comment_of(number, item.incident_id, self._how.link(number))
        kept = await self._client.put(found.exact or {}, found.starts_at, until, OURS, comment, silence_id=found.id)
        await self._store.silences.keep(replace(item, silence_id=kept, until=until))

    async def _lifted(self, item: Present, found: Silence | None, now: datetime) -> None:
        """Ended by a human, who wants to hear of it; or forgotten by Alertmanager, which has it put anew."""
        if found is None:
            await self._store.silences.forget(item)
            return
        await self._store.silences.keep(replace(item, lifted=True))
        said = "somebody ended our silence in Alertmanager: the alert is not silenced again"
        await self._store.silences.tell(item.incident_id, f"silence-lifted:{item.fingerprint}", said)

    # -- removing ----------------------------------------------------------------------------------------

    async def _remove(self, incident_id: str, items: Sequence[Present]) -> None:
        for item in items:
            if not item.lifted:
                await self._client.expire(item.silence_id)
        await self._unheard(incident_id, {item.fingerprint for item in items})
        for item in items:
            await self._store.silences.forget(item)
        if any(not item.lifted for item in items):
            key = f"silence-removed:{self._how.now().timestamp()}"
            await self._store.silences.tell(incident_id, key, "silence removed: its alerts ring again in Alertmanager")

    async def _unheard(self, incident_id: str, fingerprints: set[str]) -> None:
        """Take in what resolved while it was silenced: Alertmanager sends nothing of it, and perhaps never will."""
        incident = await self._store.record_of(incident_id)
        firing = [alert for alert in incident.firing if alert.fingerprint in fingerprints] if incident else []
        if not firing:
            return
        where = {"resource_kind": incident.resource_kind, "resource_id": incident.resource_id} if incident else {}
        active = await self._client.alerts(**where)
        # Alertmanager may have forgotten what it knew, as by a restart: Prometheus must say so too.
        gone = [alert for alert in firing if not any(seen.is_of(alert) for seen in active)]
        over = [alert for alert in gone if await self._how.condition(alert) is False]
        if over:
            ended = self._how.now()
            alerts = tuple(alert.model_copy(update={"status": "resolved", "ends_at": ended}) for alert in over)
            await self._store.accept(AlertGroup(alerts=alerts), self._how.place)

    async def _sweep(self, present: Sequence[Present]) -> None:
        """End the silences that were put by us but not written down."""
        ours = {
            silence.id: incident
            for silence in await self._client.silences()
            if silence.active and silence.created_by == OURS and (incident := incident_of(silence.comment))
        }
        for silence_id in orphans(ours, await self._store.silences.known(set(ours.values())), present):
            await self._client.expire(silence_id)
        self._swept = True


def _by_incident(items: Iterable[OfIncident]) -> list[tuple[str, list[OfIncident]]]:
    found: dict[str, list[OfIncident]] = {}
    for item in items:
        found.setdefault(item.incident_id, []).append(item)
    return list(found.items())


async def _collect(failures: list[Exception], work: Awaitable[None]) -> None:
    """One that can't be done must not keep the others from being done."""
    try:
        await work
    except (TemporaryError, PermanentError) as error:
        failures.append(error)
