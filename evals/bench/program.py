"""`selfheal` with the kinds, sources and actions of the benchmark beside its own. All else is the product as it is.

Where BENCH_SPANS names a file, each span is a line there: what a heal's time was spent on. So is each leg that was
taken, and each end of one once it was on disk.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import agents
import tools.actions
import tools.evidence
from evals.bench.tools import ACTIONS, KINDS, SOURCES
from graph.records import Incident, JudgedBy, Observation
from graph.spans import Attributes, Span, set_spans, span

SPANS = "BENCH_SPANS"
TAKEN, ENDED, HEALTH = "bench.taken", "bench.ended", "bench.health"
Write = Callable[[str, str, float, float], None]


class _Unnoted:
    def note(self, **attributes: str | int | float | bool) -> None:
        """What came of it is no matter here."""


def register() -> None:
    """Put them into the lists that the product looks into, before it does."""
    modules: Any = (agents, tools.evidence, tools.actions)
    kinds, sources, actions = modules
    kinds.AGENTS = (*kinds.AGENTS, *KINDS)
    sources.SOURCES = (*sources.SOURCES, *SOURCES)
    actions.CATALOG = (*actions.CATALOG, *ACTIONS)


def write_spans(path: str) -> None:
    """From now on."""
    file = open(path, "a", buffering=1)  # noqa: SIM115 - it stays open as long as the process lives

    def write(name: str, incident_id: str, began: float, ended: float) -> None:
        file.write(json.dumps([name, incident_id, began, ended]) + "\n")

    @contextmanager
    def begin(name: str, attributes: Attributes) -> Iterator[Span]:
        began = time.time()
        try:
            yield _Unnoted()
        finally:
            write(name, str(attributes.get("incident_id", "")), began, time.time())

    set_spans(begin)
    watch_legs(write)
    watch_health()


def watch_legs(write: Write) -> None:
    """Who takes a leg, and when its end is on disk, stands in no span."""
    from server.store import Leg, Store

    claim: Callable[..., Awaitable[list[Leg]]] = Store.claim
    end_leg: Callable[..., Awaitable[bool]] = Store.end_leg

    async def claimed(self: Store, worker: str, lease_seconds: float, limit: int) -> list[Leg]:
        began = time.time()
        legs = await claim(self, worker, lease_seconds, limit)
        for leg in legs:
            write(f"{TAKEN} {leg.number}", leg.incident.id, began, time.time())
        return legs

    async def ended(self: Store, incident_id: str, leg: int, holder: str, end: Any) -> bool:
        began = time.time()
        written = await end_leg(self, incident_id, leg, holder, end)
        write(f"{ENDED} {leg}", incident_id, began, time.time())
        return written

    Store.claim = claimed  # type: ignore[method-assign]
    Store.end_leg = ended  # type: ignore[method-assign]


def watch_health() -> None:
    """Looking whether it is well asks the world, as evidence does, but is no span."""
    from tools.health import WorldHealth

    observe = WorldHealth.observe

    async def observed(
        self: WorldHealth, incident: Incident, judged_by: JudgedBy = "resource"
    ) -> tuple[Observation, ...]:
        with span(HEALTH):
            return await observe(self, incident, judged_by)

    WorldHealth.observe = observed  # type: ignore[method-assign]


if __name__ == "__main__":
    register()
    if os.environ.get(SPANS):
        write_spans(os.environ[SPANS])
    from server.cli import main

    main()
