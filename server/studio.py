"""Graph factories for LangGraph Studio: a heal stepped through by hand, on the real store and under the real lease.

The input is an alert body. Nothing is touched unless SELFHEAL_STUDIO_EXECUTE=1; what a human decides there is recorded
as `studio:<user>`. Heals of `serve` are not stepped here. `langgraph dev` has no authentication: keep it on loopback.
"""

from __future__ import annotations

import asyncio
import getpass
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import RunnableConfig

from agents.legs import Finished
from graph.build import GRAPH_VERSION, build_graph
from graph.nodes.wrapper import Wrapped
from graph.ports import Entry
from graph.records import AlertGroup, Approval, Outcome, Stop
from graph.state import SCHEMA_VERSION, HealState, dump
from server.preflight import prepare
from server.services import Services
from server.settings import load
from server.store import Store
from server.store.takeover import STUDIO
from server.wiring import Tools, deps_of, for_studio, open_tools

EXECUTE_VARIABLE = "SELFHEAL_STUDIO_EXECUTE"
LEASE_SECONDS = 24 * 3600.0
"""A human may look at a plan for long. When it runs out, a server on the same store takes the heal over."""

HOLDER = f"{STUDIO}:{os.getpid()}"


@dataclass(frozen=True)
class Telling:
    """The store's timeline, which also lets go of the lease when the story ends: no runner does it here."""

    store: Store

    async def stop(self, incident_id: str) -> Stop | None:
        return await self.store.stop(incident_id)

    async def approved(self, incident_id: str, approval: Approval) -> None:
        await self.store.approved(incident_id, approval)

    async def tell(self, entry: Entry) -> None:
        await self.store.tell(entry)
        if entry.node == "close" and "outcome" in entry.records:
            outcome = Outcome.model_validate(entry.records["outcome"])
            await self.store.end_leg(entry.incident_id, 1, HOLDER, Finished(outcome))


async def instance() -> Any:
    """The graph of `Instance`, for langgraph.json."""
    return await _graph_of("Instance")


async def database() -> Any:
    """The graph of `Database`, for langgraph.json."""
    return await _graph_of("Database")


class _Shared:
    """Made once per process: the server calls a factory anew for every run, state read and update."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.graphs: dict[str, Any] = {}
        self.services: Services | None = None
        self.tools: Tools | None = None
        self.open = AsyncExitStack()
        """Never closed: Studio tells nobody when it ends."""


_shared: dict[int, _Shared] = {}


async def _graph_of(kind: str) -> Any:
    shared = _shared.setdefault(id(asyncio.get_running_loop()), _Shared())
    async with shared.lock:
        if shared.services is None or shared.tools is None:
            settings = await asyncio.to_thread(load)
            shared.services = await asyncio.to_thread(prepare, settings)
            shared.services.store.keep_off_the_loop()
            shared.tools = await shared.open.enter_async_context(open_tools(settings, shared.services.store))
        if kind not in shared.graphs:
            shared.graphs[kind] = await asyncio.to_thread(_build, kind, shared.services, shared.tools)
        return shared.graphs[kind]


def _build(kind: str, services: Services, tools: Tools) -> Any:
    execute = os.environ.get(EXECUTE_VARIABLE) == "1"
    heal = for_studio(services.settings.heal_settings, execute, f"{STUDIO}:{_user()}")
    heal = replace(heal, holder=HOLDER)
    told = Telling(services.store)
    deps = deps_of(services.kinds[kind], tools, services.store, told, services.policies, heal)
    return build_graph(deps, opening=_opening(services))


def _opening(services: Services) -> Wrapped:
    async def open_incident(state: HealState, config: RunnableConfig) -> dict[str, Any]:
        group = AlertGroup.model_validate({"alerts": state.get("alerts") or []})
        leg = await services.store.open_held(group, services.place, HOLDER, LEASE_SECONDS)
        start = dump({"incident": leg.incident, "attempts": leg.attempts})
        return start | {"schema_version": SCHEMA_VERSION, "graph_version": GRAPH_VERSION}

    return open_incident


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())
