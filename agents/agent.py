"""One agent heals one kind of resource: the only place that invokes or resumes a graph.

A heal goes a leg at a time: until a human is asked, until there is something to wait for, or to its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command, StateSnapshot

from agents.legs import Finished, LegEnd, Resting, WaitingForApproval
from graph.build import GRAPH_VERSION, RECURSION_LIMIT, build_graph
from graph.nodes.gate import patience
from graph.ports import Deps, PermanentError
from graph.records import Attempt, Incident, Outcome, Wait
from graph.spans import span
from graph.state import SCHEMA_VERSION, Heal, HealState, UnreadableState, dump


class HealWedged(PermanentError):
    """The graph stopped without an outcome, an interrupt or a wait: it must be told, never taken for finished."""


class Pruner(Protocol):
    """Drops the checkpoints a resting heal no longer needs."""

    async def prune_thread(self, thread_id: str) -> None: ...


class Agent:
    """The agent of one resource kind. One instance serves all its heals; LangGraph has no lock per thread, so the
    caller's lease must see to it that one heal runs in one place."""

    def __init__(self, deps: Deps, checkpointer: BaseCheckpointSaver[str], pruner: Pruner | None = None) -> None:
        self.kind = deps.kind
        self._deps = deps
        self._checkpointer = checkpointer
        self._pruner = pruner
        self._graph = build_graph(deps, checkpointer)
        self._running: set[RunControl] = set()
        self._draining = False

    async def heal(
        self,
        incident: Incident,
        *,
        holder: str,
        decision: Mapping[str, Any] | None = None,
        attempts: Sequence[Attempt] = (),
        fresh: bool = False,
    ) -> LegEnd:
        """Run or resume the heal of an incident until its leg ends.

        `decision` answers a waiting approval. `fresh` starts anew at gather_context with the attempts so far, as
        does a thread left by another version of the graph. Raises whatever a node raises, and HealWedged.
        """
        config = self._config(incident, holder)
        snapshot = await self._graph.aget_state(config)
        if snapshot.values and (fresh or snapshot.values.get("graph_version") != GRAPH_VERSION):
            await self._checkpointer.adelete_thread(incident.id)
            snapshot = await self._graph.aget_state(config)
        if snapshot.values.get("outcome"):
            return _finished(snapshot)
        entry = await self._entry(snapshot, incident, decision, attempts)
        if isinstance(entry, WaitingForApproval):
            return entry
        about = self._about(incident, len(snapshot.values.get("attempts", attempts)) + 1)
        with span(f"selfheal.heal {self.kind.name}", **about):
            if not await self._run(entry, {**config, "metadata": about}):
                return Resting(self._deps.clock.now(), "the worker is shutting down")
        end = await self._end(await self._graph.aget_state(config), incident)
        if self._pruner is not None:
            await self._pruner.prune_thread(incident.id)
        return end

    async def _run(self, entry: HealState | Command[Any] | None, config: RunnableConfig) -> bool:
        """Until an interrupt or the end; False where the worker began to shut down."""
        control = RunControl()
        self._running.add(control)
        if self._draining:
            control.request_drain()
        try:
            await self._graph.ainvoke(entry, config, durability="sync", control=control)
        except GraphDrained:
            return False
        finally:
            self._running.discard(control)
        return True

    def drain(self) -> None:
        """Let every running heal stop after its current super-step; one that is only now begun, after its first."""
        self._draining = True
        for control in self._running:
            control.request_drain()

    async def _entry(
        self,
        snapshot: StateSnapshot,
        incident: Incident,
        decision: Mapping[str, Any] | None,
        attempts: Sequence[Attempt],
    ) -> HealState | Command[Any] | WaitingForApproval | None:
        if not snapshot.values:
            return _start(incident, attempts)
        if not snapshot.interrupts:
            return None
        update = dump({"incident": incident})
        if "wait" in snapshot.interrupts[0].value:
            return Command(resume={"woken": True}, update=update)
        if decision is not None:
            return Command(resume=dict(decision), update=update)
        if await self._deps.directives.stop(incident.id) is not None:
            return Command(resume={"stopped": True}, update=update)
        return self._asking(snapshot, incident)

    async def _end(self, snapshot: StateSnapshot, incident: Incident) -> LegEnd:
        if snapshot.values.get("outcome"):
            return _finished(snapshot)
        if not snapshot.interrupts:
            raise HealWedged(f"heal of incident {incident.id} stopped before {', '.join(snapshot.next) or 'its end'}")
        payload = snapshot.interrupts[0].value
        if "wait" in payload:
            wait = Wait.model_validate(payload["wait"])
            return Resting(wait.until, wait.reason, wait.rule)
        return self._asking(snapshot, incident)

    def _asking(self, snapshot: StateSnapshot, incident: Incident) -> WaitingForApproval:
        try:
            heal = Heal.read(snapshot.values)
        except UnreadableState as error:
            raise HealWedged(f"heal of incident {incident.id} waits for approval but can't be read: {error}") from error
        if heal.plan is None or heal.gate is None:
            raise HealWedged(f"heal of incident {incident.id} waits for approval without a plan")
        expires = self._deps.clock.now() + timedelta(seconds=patience(heal, self._deps))
        return WaitingForApproval(snapshot.interrupts[0].value, heal.plan, heal.gate, expires)

    def _config(self, incident: Incident, holder: str) -> RunnableConfig:
        return {
            "configurable": {"thread_id": incident.id, "holder": holder},
            "recursion_limit": RECURSION_LIMIT,
            "run_name": f"heal {self.kind.name}",
        }

    def _about(self, incident: Incident, attempt: int) -> dict[str, str | int]:
        """What traces of a leg are found by: `attempt` is the one under way when it begins."""
        return {
            "incident_id": incident.id,
            "incident_number": incident.number,
            "kind": self.kind.name,
            "attempt": attempt,
        }


def _start(incident: Incident, attempts: Sequence[Attempt]) -> HealState:
    start = dump({"incident": incident, "attempts": tuple(attempts)})
    return HealState(
        schema_version=SCHEMA_VERSION,
        graph_version=GRAPH_VERSION,
        incident=start["incident"],
        attempts=start["attempts"],
    )


def _finished(snapshot: StateSnapshot) -> Finished:
    return Finished(Outcome.model_validate(snapshot.values["outcome"]))
