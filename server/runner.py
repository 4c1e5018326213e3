"""Takes runnable legs, picks the agent by kind, and sees each leg to its end. Knows nothing else about agents."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from agents.legs import LegEnd
from graph.records import Alert, Attempt, Incident
from server.store import Failed, Leg, Runnable, Store, StoreError

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


class QueueLike(Protocol):
    async def submit(self, incident_id: str, leg: int, resource_key: str) -> bool:
        """False where the leg's number is used up although nobody runs it."""


@dataclass(frozen=True)
class RunnerTimes:
    """Seconds."""

    lease: float = 15.0
    renew: float = 5.0
    sweep: float = 0.5
    recheck: float = 2.0
    patience: float = 20.0
    """How long a leg lets storming alerts go first, at most."""


IN_A_STORM = 4
"""Legs that are looked for at once while alerts storm in."""
MOST_LEGS = 100
BETWEEN_LEGS_SECONDS = 0.5
LOOK_SECONDS = 0.05


class Runner:
    """Runs legs in this process. `name` is this process's alone and begins the holder of all its leases."""

    def __init__(
        self,
        store: Store,
        agents: Mapping[str, AgentLike],
        condition: Condition,
        name: str,
        times: RunnerTimes | None = None,
    ) -> None:
        self._store = store
        self._agents = agents
        self._condition = condition
        self._name = name
        self._times = times or RunnerTimes()
        self._queue: QueueLike | None = None
        self._kicked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way = 0
        self._began = 0.0

    def start(self, queue: QueueLike) -> None:
        """Begin to look for runnable legs: at once when something was committed, and in any case now and then."""
        self._queue = queue
        self._store.listen(lambda _incident_id: self.kick())
        self._tasks = [asyncio.create_task(self._sweep()), asyncio.create_task(self._recheck())]
        self.kick()

    def kick(self) -> None:
        """Look for runnable legs now."""
        self._kicked.set()

    async def stop(self) -> None:
        """Let every running heal stop after its current super-step, and look for no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for agent in self._agents.values():
            agent.drain()

    async def run_leg(self, incident_id: str, leg: int) -> LegEnd | Failed | None:
        """Run one leg to its end, under a lease that is renewed. None where it was not ours to run."""
        await self._turn()
        self._under_way += 1
        try:
            return await self._run_leg(incident_id, leg)
        finally:
            self._under_way -= 1

    async def _turn(self) -> None:
        """Accepting comes first: what is not on disk can be lost, a repair only comes later.

        While alerts storm in, legs that have not begun wait, but for one at a time, two a second at most; none waits
        beyond its patience, as a storm may last. In quiet times nothing waits.
        """
        for _ in range(int(self._times.patience / LOOK_SECONDS)):
            between = time.monotonic() - self._began
            if not self._store.storming or (not self._under_way and between > BETWEEN_LEGS_SECONDS):
                break
            await asyncio.sleep(LOOK_SECONDS)
        self._began = time.monotonic()

    async def _run_leg(self, incident_id: str, leg: int) -> LegEnd | Failed | None:
        holder = f"{self._name}:{leg}"
        begun = await self._store.begin_leg(incident_id, leg, holder, self._times.lease)
        if begun is None:
            return None
        heartbeat = asyncio.create_task(self._keep(incident_id, holder))
        try:
            end: LegEnd | Failed = await self._heal(begun, holder)
        except Exception as error:
            log.exception("leg %s of incident %s failed", leg, incident_id)
            end = Failed(f"{type(error).__name__}: {error}")
        finally:
            heartbeat.cancel()
        if not await self._store.end_leg(incident_id, leg, holder, end):
            log.warning("leg %s of incident %s was taken over; nothing more is written for it", leg, incident_id)
        return end

    async def _heal(self, begun: Leg, holder: str) -> LegEnd | Failed:
        agent = self._agents.get(begun.incident.resource_kind)
        if agent is None:
            return Failed(f"no agent for kind {begun.incident.resource_kind}: known are {', '.join(self._agents)}")
        return await agent.heal(
            begun.incident, holder=holder, decision=begun.decision, attempts=begun.attempts, fresh=begun.fresh
        )

    async def _keep(self, incident_id: str, holder: str) -> None:
        while True:
            await asyncio.sleep(self._times.renew)
            try:
                if not await self._store.renew(incident_id, holder, self._times.lease):
                    log.warning("the lease of incident %s is lost", incident_id)
                    return
            except StoreError as error:
                log.warning("the lease of incident %s could not be renewed: %s", incident_id, error)

    async def _sweep(self) -> None:
        while True:
            try:
                storming = self._store.storming
                await self._store.take_back()
                for runnable in await self._store.runnable(IN_A_STORM if storming else MOST_LEGS):
                    await self._submit(runnable)
                pause = await self._until_next()
                if storming:  # every commit would have us look anew
                    await asyncio.sleep(self._times.sweep)
            except StoreError as error:
                log.warning("the store could not be asked for runnable legs: %s", error)
                pause = self._times.sweep
            # not `wait_for`: in Python 3.11 it may swallow the cancelling by `stop`
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._kicked.wait()
            self._kicked.clear()

    async def _submit(self, runnable: Runnable) -> None:
        assert self._queue is not None, "only a started runner sweeps"
        try:
            if not await self._queue.submit(runnable.incident_id, runnable.leg, runnable.resource_key):
                await self._store.renumber(runnable.incident_id, runnable.leg)
        except Exception:
            log.exception("leg %s of incident %s could not be queued", runnable.leg, runnable.incident_id)

    async def _until_next(self) -> float:
        """Seconds until the next rest is over, at most the sweep's interval."""
        wake = await self._store.next_wake()
        if wake is None:
            return self._times.sweep
        return min(max((wake - datetime.now(UTC)).total_seconds(), 0.01), self._times.sweep)

    async def _recheck(self) -> None:
        """A firing that came again after its incident had closed: reopened only if Prometheus still shows it."""
        while True:
            await asyncio.sleep(self._times.recheck)
            try:
                for incident in await self._store.to_recheck():
                    still, reason = await self._still_firing(incident)
                    await self._store.rechecked(incident.id, still, reason)
            except Exception:
                log.exception("looking again at what came back failed; it is tried again")

    async def _still_firing(self, incident: Incident) -> tuple[bool, str]:
        shown = {alert.name: await self._condition(alert) for alert in incident.firing}
        if still := sorted(name for name, firing in shown.items() if firing):
            return True, f"Prometheus still shows {', '.join(still)}"
        if unknown := sorted(name for name, firing in shown.items() if firing is None):
            return False, f"Prometheus can't say whether {', '.join(unknown)} still holds"
        return False, "Prometheus does not show the condition any more"
