"""What every node is wrapped in: validated records in, JSON out, a stop honoured, everything told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.runnables import RunnableConfig

from graph.ports import Deps, Entry
from graph.records import Outcome
from graph.rules.telling import telling
from graph.spans import Attributes, span
from graph.state import Heal, HealState, UnreadableState, Update, dump


@dataclass(frozen=True)
class Leg:
    """Who runs this super-step. `holder` is the worker and leg that must hold the lease."""

    holder: str
    task_id: str


Node = Callable[[Heal, Deps, Leg], Awaitable[Update]]


class Wrapped(Protocol):
    """A node as LangGraph calls it."""

    async def __call__(self, state: HealState, config: RunnableConfig) -> dict[str, Any]: ...


def as_node(node: Node, deps: Deps, *, stoppable: bool) -> Wrapped:
    """A LangGraph node from one of ours. A `stoppable` one first asks whether the heal should go on at all."""
    name = node.__name__

    async def run(state: HealState, config: RunnableConfig) -> dict[str, Any]:
        leg = _leg(config, deps.settings.holder)
        try:
            heal = Heal.read(state)
        except UnreadableState as error:
            return await _unreadable(state, name, str(error), deps, leg)
        with span(f"selfheal.node {name}", node=name, **_about(heal)):
            if stoppable and (stop := await deps.directives.stop(heal.incident.id)) is not None:
                update: Update = {"stop": stop}
            else:
                update = await node(heal, deps, leg)
            if told := telling(name, heal, update):
                key = told.key or leg.task_id
                records = {channel: _full(value) for channel, value in update.items() if value is not None}
                now = deps.clock.now()
                await deps.chronicle.tell(Entry(heal.incident.id, key, now, name, told.author, told.sentence, records))
            return dump(update)

    run.__name__ = name
    return run


def _about(heal: Heal) -> Attributes:
    """Which heal it is, for spans."""
    incident = heal.incident
    return {
        "incident_id": incident.id,
        "incident_number": incident.number,
        "kind": incident.resource_kind,
        "attempt": heal.attempt,
    }


def _leg(config: RunnableConfig, holder: str) -> Leg:
    configurable: Mapping[str, Any] = config.get("configurable") or {}
    task_id = str(configurable.get("__pregel_task_id") or configurable.get("checkpoint_id") or "")
    return Leg(holder=str(configurable.get("holder", holder)), task_id=task_id)


async def _unreadable(state: Mapping[str, Any], name: str, why: str, deps: Deps, leg: Leg) -> dict[str, Any]:
    """Told and escalated: a heal whose memory can't be read must not act, and must not be lost."""
    if state.get("broken"):
        return {}
    reason = f"the heal's saved state can't be read, so it must not act: {why}"
    outcome = Outcome(status="escalated", rule="unreadable_state", reason=reason)
    incident = state.get("incident")
    incident_id = str(incident.get("id", "")) if isinstance(incident, Mapping) else ""
    records = {"outcome": outcome.model_dump(mode="json")}
    entry = Entry(incident_id, leg.task_id, deps.clock.now(), name, "self-heal", reason, records)
    await deps.chronicle.tell(entry)
    return {"broken": why, "outcome": outcome.model_dump(mode="json")}


def _full(value: Any) -> Any:
    """Records with their defaults: for readers who should not have to know them."""
    if isinstance(value, tuple | list):
        return [_full(item) for item in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value
