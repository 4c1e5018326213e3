"""One compiled graph a kind, for all cases: compiling it takes several times what a replay does.

The nodes of a compiled graph keep the ports they were built with. So they get ports that are looked up in the replay
under way, of which each asyncio task has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from langgraph.graph.state import CompiledStateGraph

from graph.build import build_graph
from graph.kind import ResourceKind
from graph.ports import Deps
from graph.state import HealState

Graph = CompiledStateGraph[HealState, None, HealState, HealState]

_playing: ContextVar[Deps] = ContextVar("playing")
_graphs: dict[int, tuple[ResourceKind, Graph]] = {}
"""By the kind's identity; the kind is kept so that its identity stays its own."""


class _Current:
    """Has the ports of the replay under way."""

    def __init__(self, kind: ResourceKind) -> None:
        self.kind = kind

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(_playing.get(), name)
        except LookupError:
            raise AttributeError(f"no replay is under way that could give {name}") from None


@contextmanager
def playing(deps: Deps) -> Iterator[Graph]:
    """The graph of the ports' kind, with these ports for as long as the block lasts."""
    known = _graphs.get(id(deps.kind))
    if known is None:
        known = (deps.kind, build_graph(cast(Deps, _Current(deps.kind))))
        _graphs[id(deps.kind)] = known
    before = _playing.set(deps)
    try:
        yield known[1]
    finally:
        _playing.reset(before)
