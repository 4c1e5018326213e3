"""Takes legs that may run, picks the agent by kind, and sees each leg to its end. Knows nothing else about agents.

The store is the queue: a leg is taken in one transaction with its lease, by whichever process comes first. So what is
accepted is queued, and there is no second place that could disagree about who does what.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from agents.legs import LegEnd
from graph.records import Alert, Attempt, Incident
from server.clock_watch import ClockWatch, elapsed
from server.leases import HeldLeases
from server.pacing import Pacing
from server.store import Failed, Leg, Store, StoreError

log = logging.getLogger("selfheal.runner")

Condition = Callable[[Alert], Awaitable[bool | None]]
"""Whether Prometheus shows the alert's condition now; None where it can't be asked."""


class AgentLike(Protocol):
    """What the runner needs of an agent."""

    async def heal(
        self,
        incident: Incident,
        *,
        holder: str,
        decision: Mapping[str, Any] | None = None,
        attempts: Sequence[Attempt] = (),
        fresh: bool = False,
    ) -> LegEnd: ...

    def drain(self) -> None: ...


@dataclass(frozen=True)
class RunnerTimes:
    """Seconds. A worker that dies is replaced within `lease` and a sweep."""

    lease: float = 6.0
    renew: float = 1.5
    sweep: float = 0.5
    recheck: float = 2.0
    storms: float = 2.0
    patience: float = 20.0
    """How long legs let storming alerts go first (see `Pacing`)."""


class Runner:
    """Runs legs in this process. `name` is this process's alone and begins the holder of all its leases."""

    def __init__(
        self,
        store: Store,
        agents: Mapping[str, AgentLike],
        condition: Condition,
        name: str,
        times: RunnerTimes | None = None,
        concurrency: int = 32,
        leases: HeldLeases | None = None,
        on_lease_lost: Callable[[], None] = lambda: None,
        clock: ClockWatch | None = None,
    ) -> None:
        self._store = store
        self._agents = agents
        self._condition = condition
        self._name = name
        self._times = times or RunnerTimes()
        self._concurrency = concurrency
        self._leases = leases or HeldLeases()
        self._on_lease_lost = on_lease_lost
        self._clock = clock or ClockWatch()
        self._heartbeat: asyncio.Task[None] | None = None
        self._takes_back_from = 0.0
        self._pacing = Pacing(self._times.patience)
        self._kicked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._legs: set[asyncio.Task[LegEnd | Failed]] = set()

    @property
    def running(self) -> int:
        """Legs that run in this process now."""
        return len(self._legs)

    def start(self) -> None:
        """Begin to take legs: at once when something was committed, and in any case now and then."""
        self._store.listen(lambda _incident_id: self.kick(), told=False)
        self._tasks = [asyncio.create_task(self._sweep()), asyncio.create_task(self._recheck())]
        self._tasks.append(asyncio.create_task(self._watch_storms()))
        self.kick()

    def kick(self) -> None:
        """Look for legs now."""
        self._kicked.set()

    async def stop(self, drain_seconds: float = 0.0) -> None:
        """Take no more; let every running heal stop after its current super-step, and wait for that so long."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for agent in self._agents.values():
            agent.drain()
        if self._legs and drain_seconds > 0:
            await asyncio.wait(self._legs, timeout=drain_seconds)

    async def run_leg(self, incident_id: str, leg: int) -> LegEnd | Failed | None:
        """Take one leg and run it to its end. None where it was not to be had."""
        asked_at = elapsed()
        begun = await self._store.begin_leg(incident_id, leg, f"{self._name}:{leg}", self._times.lease)
        return None if begun is None else await self._run(begun, asked_at)

    async def _run(self, begun: Leg, asked_at: float) -> LegEnd | Failed:
        """To its end, under a lease that is renewed."""
        incident_id = begun.incident.id
        self._leases.keep(incident_id, begun.holder, self._times.lease, asked_at)
        if self._heartbeat is None or self._heartbeat.done():
            self._heartbeat = asyncio.create_task(self._keep())
        try:
            end: LegEnd | Failed = await self._heal(begun)
        except Exception as error:
            log.exception("leg %s of incident %s failed", begun.number, incident_id)
            end = Failed(f"{type(error).__name__}: {error}")
        finally:
            self._leases.drop(incident_id, begun.holder)
        if not await self._store.end_leg(incident_id, begun.number, begun.holder, end):
            self._lost(incident_id, begun.number)
        return end

    async def _heal(self, begun: Leg) -> LegEnd | Failed:
        agent = self._agents.get(begun.incident.resource_kind)
        if agent is None:
            return Failed(f"no agent for kind {begun.incident.resource_kind}: known are {', '.join(self._agents)}")
        return await agent.heal(
            begun.incident, holder=begun.holder, decision=begun.decision, attempts=begun.attempts, fresh=begun.fresh
        )

    def _lost(self, incident_id: str, leg: int) -> None:
        log.warning("leg %s of incident %s was taken over; nothing more is written for it", leg, incident_id)
        self._on_lease_lost()

    async def _keep(self) -> None:
        """Renew the leases, all at once, as long as any leg runs."""
        while self._leases.all():
            await asyncio.sleep(self._times.renew)
            try:
                await self._renew(self._leases.all())
            except StoreError as error:
                log.warning("the leases of %d heals could not be renewed: %s", len(self._leases.all()), error)
            except Exception:  # whatever it is: without this task every heal here would be taken for lost
                log.exception("renewing the leases failed; it is tried again")

    async def _renew(self, leases: Sequence[tuple[str, str]]) -> None:
        """Keep these, by incident and holder; those that are others' by now are given up."""
        if not leases:
            return
        asked_at = elapsed()
        kept = await self._store.renew(leases, self._times.lease)
        for incident_id, holder in leases:
            if (incident_id, holder) in kept:
                self._leases.renew(incident_id, holder, self._times.lease, asked_at)
            elif (incident_id, holder) in self._leases.all():  # else its leg has ended meanwhile
                log.warning("the lease of incident %s is lost", incident_id)
                self._leases.drop(incident_id, holder)

    async def _sweep(self) -> None:
        while True:
            self._kicked.clear()
            try:
                await self._take_back()
                if await self._take():
                    continue
                pause = await self._until_next()
                if self._store.storming:  # every commit would have us look anew
                    await asyncio.sleep(self._times.sweep)
            except StoreError as error:
                log.warning("the store could not be asked for legs to run: %s", error)
                pause = self._times.sweep
            except Exception:  # whatever it is: without this task nothing would ever run again
                log.exception("looking for legs to run failed; it is tried again")
                pause = self._times.sweep
            # not `wait_for`: in Python 3.11 it may swallow the cancelling by `stop`
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._kicked.wait()

    async def _take_back(self) -> None:
        """Free the legs of workers that were not heard of; not where only a jump of the clock let the leases lapse."""
        jumped = self._clock.jumped()
        if abs(jumped) > self._times.lease / 3:
            log.warning("the clock of this machine jumped by %+.0f s", jumped)
            self._takes_back_from = elapsed() + self._times.lease
            await self._renew(self._leases.all())
        await self._renew(self._leases.lapsed())  # as after a standstill: we are heard of now
        if elapsed() >= self._takes_back_from:
            await self._store.take_back()

    async def _take(self) -> bool:
        """Start what may run, as far as there is room. False where there was nothing, or no room."""
        room = min(self._concurrency - len(self._legs), self._pacing.room(self._store.storming, len(self._legs)))
        if room <= 0:
            return False
        # Shielded: a leg that was taken must be run, also where `stop` comes in between.
        asked_at = elapsed()
        self._pacing.began()
        claiming = asyncio.ensure_future(self._store.claim(self._name, self._times.lease, room))
        try:
            begun = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            self._start(await claiming, asked_at)
            raise
        self._start(begun, asked_at)
        return bool(begun)

    def _start(self, begun: Sequence[Leg], asked_at: float) -> None:
        for leg in begun:
            task = asyncio.create_task(self._run(leg, asked_at), name=f"leg {leg.incident.number}:{leg.number}")
            self._legs.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[LegEnd | Failed]) -> None:
        self._legs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s could not be ended: %s; its lease runs out, and it is run again", task.get_name(), error)
        self.kick()

    async def _until_next(self) -> float:
        """Seconds until the next rest is over, at most the sweep's interval."""
        wake = await self._store.next_wake()
        if wake is None or len(self._legs) >= self._concurrency:
            return self._times.sweep
        return min(max((wake - self._store.time()).total_seconds(), 0.01), self._times.sweep)

    async def _recheck(self) -> None:
        """A firing that came again after its incident had closed, or came while it was healed: is it still there?"""
        while True:
            await asyncio.sleep(self._times.recheck)
            try:
                for incident in await self._store.to_recheck():
                    still, reason = await self._still_firing(incident)
                    await self._store.rechecked(incident.id, still, reason)
            except Exception:
                log.exception("looking again at what came back failed; it is tried again")

    async def _watch_storms(self) -> None:
        """What fails together, and whether it still does: what changes without a new incident is seen here only."""
        while True:
            try:
                await self._store.storms.look()
            except Exception:
                log.exception("looking for storms failed; it is tried again")
            await asyncio.sleep(self._times.storms)

    async def _still_firing(self, incident: Incident) -> tuple[bool | None, str]:
        shown = {alert.name: await self._condition(alert) for alert in incident.firing}
        if still := sorted(name for name, firing in shown.items() if firing):
            return True, f"Prometheus still shows {', '.join(still)}"
        if unknown := sorted(name for name, firing in shown.items() if firing is None):
            return None, f"Prometheus can't say whether {', '.join(unknown)} still holds"
        return False, "Prometheus does not show the condition any more"
