"""What the HTTP side is given: the light parts that are there at once, and the heavy ones that are loaded behind.

The port opens before the queue, the graphs and the clients are imported, as an alert that comes in these first seconds
only needs the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any

from graph.kind import ResourceKind
from graph.ports import Actions
from graph.records import Alert, Policy, Resource
from graph.rules.classify import PLACING_LABELS, Placed, place
from graph.rules.notifying import tells_opening
from server.auth import Tokens
from server.console.plots.asking import AsksPrometheus
from server.metrics import Metrics
from server.retention import Keeper
from server.settings import Settings
from server.store import Store
from tools.clients.circuit import Circuits

MOST_PLACES = 50_000
"""Remembered at most."""


@dataclass(frozen=True)
class Runtime:
    """The heavy parts, once loaded: what an edited plan is completed with, and whether the queue works."""

    actions: Actions
    usable: Callable[[], str | None]
    """Why the queue is not usable, or None where it is."""
    prometheus: AsksPrometheus | None = None
    """Who is asked for the series of plots."""
    keeper: Keeper | None = None
    """Who clears away what closed incidents have left behind, checkpoints too."""
    circuits: Circuits = field(default_factory=Circuits)
    """Targets that this process does not ask just now, as they failed again and again."""


@dataclass
class Services:
    """One server's parts. `runtime` is None until it is loaded; `broken` says why it could not be."""

    settings: Settings
    store: Store
    tokens: Tokens
    kinds: Mapping[str, ResourceKind]
    policies: tuple[Policy, ...] = ()
    metrics: Metrics = field(default_factory=Metrics)
    runtime: Runtime | None = None
    broken: str | None = None

    def __post_init__(self) -> None:
        self._resources = {(item.kind, item.id): item for item in self.settings.resources}
        self._placed: dict[tuple[str | None, ...], Placed] = {}

    @property
    def resources(self) -> Mapping[tuple[str, str], Resource]:
        return self._resources

    async def fleet(self) -> dict[str, Any]:
        """What holds repairs back now; which processes are there; and whom this very process does not ask."""
        circuits = self.runtime.circuits.open() if self.runtime is not None else []
        told = {"workers": await self.store.workers.alive(), "circuits": [item.told() for item in circuits]}
        return await self.store.fleet() | told

    def place(self, alert: Alert) -> Placed:
        """Where an alert belongs, among the kinds and resources declared, and whether policy wants it announced.

        Remembered by the labels it follows from, as a storm is about the same few places; in little room, as a fleet
        may be large.
        """
        key = tuple(map(alert.labels.get, PLACING_LABELS))
        found = self._placed.get(key)
        if found is None:
            placed = place(alert, self.kinds, self._resources)
            found = replace(placed, announced=tells_opening(self.policies, placed.resource_kind, placed.issue_type))
            # Labels are anybody's to choose; what can't be placed follows from the fingerprint too.
            if found.problem is None and len(self._placed) < MOST_PLACES:
                self._placed[tuple(label and intern(label) for label in key)] = found
        return found


Load = Callable[[Services], AbstractAsyncContextManager[Runtime]]
"""Brings the runtime up and, on leaving, down: drains what runs."""
