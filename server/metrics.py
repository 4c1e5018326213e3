"""What Prometheus scrapes of us: what the store counts for all processes, and what this process has seen itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Protocol, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from graph.ports import Chronicle, Directives, Entry
from graph.records import Approval, Stop
from graph.rules.intake import Decision
from server.metric_families import Stored
from server.store.tallies import LEGS_OVERTAKEN, NODE_SECONDS, Tally, observed

log = logging.getLogger("selfheal.metrics")

MAX_TIMED = 4096
KEEP_SECONDS = 5.0
REFUSALS = ("overloaded", "store")


class KeepsTotals(Protocol):
    async def add_up(self, amounts: Mapping[Tally, float]) -> None: ...


class Metrics:
    """The numbers of this process, and the page with these and the store's."""

    def __init__(self) -> None:
        # A series of creation times beside each counter: Prometheus reads them in another format only.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._alerts = Counter(
            "selfheal_alerts_received",
            "Alerts received by this process, by what was decided about them.",
            ("decision",),
            registry=registry,
        )
        self._decided = {decision: self._alerts.labels(decision) for decision in get_args(Decision)}
        self._refused = Counter(
            "selfheal_alerts_refused",
            "Alerts this process answered 503 to, which Alertmanager sends again: too many wait, or the store fails.",
            ("reason",),
            registry=registry,
        )
        for reason in REFUSALS:
            self._refused.labels(reason)
        self._silencing = Counter(
            "selfheal_silencing_failures",
            "Times this process could not put the silences in Alertmanager right.",
            registry=registry,
        )
        self._switch = Gauge(
            "selfheal_dead_mans_switch_timestamp_seconds",
            "When this process last received the alert SelfHealDeadMansSwitch; 0 where it has not.",
            registry=registry,
        )
        self._usable = Gauge("selfheal_store_usable", "1 while this process can use the store.", registry=registry)
        self._ready = Gauge("selfheal_ready", "1 while this process is ready, as /readyz has it.", registry=registry)
        build = Gauge("selfheal_build_info", "The release this process runs.", ("version",), registry=registry)
        build.labels(version("selfheal")).set(1)
        self._amounts: dict[Tally, float] = defaultdict(float)

        self._circuits = Gauge(
            "selfheal_circuit_open",
            "Targets that this process does not ask just now, as they failed again and again.",
            ("target_kind",),
            registry=registry,
        )

    def circuits(self, open_ones: Mapping[str, int]) -> None:
        """How many circuits are open, by kind of target."""
        for kind, number in open_ones.items():
            self._circuits.labels(kind).set(number)

    def silencing_failed(self) -> None:
        self._silencing.inc()

    def alert(self, decision: str, times: int = 1) -> None:
        self._decided[decision].inc(times)

    def refused(self, reason: str, alerts: int) -> None:
        """`reason` is one of REFUSALS."""
        self._refused.labels(reason).inc(alerts)

    def heard_switch(self) -> None:
        self._switch.set_to_current_time()

    def node(self, name: str, seconds: float) -> None:
        self._add(observed(NODE_SECONDS, (name,), seconds))

    def lease_lost(self) -> None:
        """A leg that this process ran was taken over by another one."""
        self._amounts[LEGS_OVERTAKEN, ()] += 1

    async def keep(self, store: KeepsTotals) -> None:
        """Bring to the store what this process has counted since the last time. What can't be brought is kept."""
        amounts, self._amounts = self._amounts, defaultdict(float)
        try:
            if amounts:
                await store.add_up(amounts)
        except Exception:
            self._add(amounts)
            raise

    def _add(self, amounts: Mapping[Tally, float]) -> None:
        for tally, amount in amounts.items():
            self._amounts[tally] += amount

    async def keep_always(self, store: KeepsTotals, every_seconds: float = KEEP_SECONDS) -> None:
        """Until cancelled. Not at each step: a heal must not wait for being counted."""
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.keep(store)
            except Exception as error:  # numbers are no reason to stop; they are brought later
                log.warning("what was counted could not be kept, it is tried again: %s", error)

    def page(self, counts: Mapping[str, Any] | None, paused: bool, *, usable: bool = True, ready: bool = True) -> bytes:
        """The text format, with what `Counting.counts` of the store says; None: the store can't be asked."""
        self._usable.set(usable)
        self._ready.set(ready)
        if counts is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        registry.register(Stored(counts, paused))
        return generate_latest(self._registry) + generate_latest(registry)


class NodeTimer:
    """Times nodes from outside: each asks for a stop as it begins and tells as it ends.

    Stands before the store as the heal's directives and chronicle. A node that is not asked to stop (a rollback, the
    end) is timed from what was told before it.
    """

    def __init__(self, directives: Directives, chronicle: Chronicle, metrics: Metrics) -> None:
        self._directives = directives
        self._chronicle = chronicle
        self._metrics = metrics
        self._began: OrderedDict[str, float] = OrderedDict()

    async def stop(self, incident_id: str) -> Stop | None:
        self._mark(incident_id)
        return await self._directives.stop(incident_id)

    async def tell(self, entry: Entry) -> None:
        await self._chronicle.tell(entry)
        if (began := self._began.get(entry.incident_id)) is not None:
            self._metrics.node(entry.node, time.monotonic() - began)
        self._mark(entry.incident_id)

    async def approved(self, incident_id: str, approval: Approval) -> None:
        await self._chronicle.approved(incident_id, approval)

    def _mark(self, incident_id: str) -> None:
        self._began[incident_id] = time.monotonic()
        self._began.move_to_end(incident_id)
        if len(self._began) > MAX_TIMED:
            self._began.popitem(last=False)
