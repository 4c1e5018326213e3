"""The map: the whole flow of a heal on one page.

                investigate ⟲
                    ⇅
gather_context → diagnose → plan → gate → (approve) → execute ⟲ → verify → close
       ↑            │        │       ↑ ↘ wait              ↑  ↘ wait     ↑
       └─── wait ───┤        └───────┼──────── escalate ───┼─────────────┤
   nothing explains └ no fault ──────┼─────────────────────┘             │
   it: look again                    │   rejected, or verify ✗ → (rollback ⟲) → retry → gather_context | escalate
"""

from __future__ import annotations

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graph import routes
from graph.nodes.approve import approve
from graph.nodes.close import close
from graph.nodes.diagnose import diagnose
from graph.nodes.escalate import escalate
from graph.nodes.execute import execute
from graph.nodes.gate import gate
from graph.nodes.gather_context import gather_context
from graph.nodes.investigate import investigate
from graph.nodes.plan import plan
from graph.nodes.retry import retry
from graph.nodes.rollback import rollback
from graph.nodes.verify import verify
from graph.nodes.wait import wait
from graph.nodes.wrapper import Node, Wrapped, as_node
from graph.ports import Deps
from graph.routes import Route, routed
from graph.state import HealState

GRAPH_VERSION = "1"
"""Changes whenever a node is renamed or a route's meaning changes: a thread of another version starts afresh."""

RECURSION_LIMIT = 500

# node, whether a cancel stops before it, where it goes next, and where it may go
WALK: tuple[tuple[Node, bool, Route | None, tuple[str, ...]], ...] = (
    (gather_context, True, routes.after_gather_context, ("diagnose", "close")),
    (diagnose, True, routes.after_diagnose, ("investigate", "plan", "verify", "wait", "escalate", "close")),
    (investigate, True, routes.after_investigate, ("investigate", "diagnose", "close")),
    (plan, True, routes.after_plan, ("gate", "escalate", "close")),
    (gate, True, routes.after_gate, ("execute", "approve", "wait", "escalate", "close")),
    (approve, True, routes.after_approve, ("gate", "plan", "approve", "retry", "escalate", "close")),
    (execute, True, routes.after_execute, ("execute", "verify", "wait", "rollback", "retry", "escalate", "close")),
    (verify, True, routes.after_verify, ("close", "wait", "gather_context", "rollback", "retry", "escalate")),
    (
        wait,
        True,
        routes.after_wait,
        ("gather_context", "gate", "execute", "verify", "rollback", "wait", "escalate", "close"),
    ),
    (rollback, False, routes.after_rollback, ("rollback", "retry", "wait", "escalate", "close")),
    (retry, False, routes.after_retry, ("gather_context", "escalate", "close")),
    (escalate, False, None, ("close",)),
    (close, False, None, (END,)),
)


def build_graph(
    deps: Deps, checkpointer: BaseCheckpointSaver[str] | None = None, opening: Wrapped | None = None
) -> CompiledStateGraph[HealState, None, HealState, HealState]:
    """The graph of one resource kind. Studio brings its own checkpointer, and an `opening` node that makes an
    incident of an alert body."""
    graph = StateGraph(HealState)
    if opening is None:
        graph.add_edge(START, "gather_context")
    else:
        graph.add_node("open_incident", opening)
        graph.add_edge(START, "open_incident")
        graph.add_edge("open_incident", "gather_context")
    for node, stoppable, route, targets in WALK:
        graph.add_node(node.__name__, as_node(node, deps, stoppable=stoppable))
        if route is None:
            graph.add_edge(node.__name__, targets[0])
        else:
            graph.add_conditional_edges(node.__name__, routed(route, deps), list(targets))
    return graph.compile(checkpointer=checkpointer, name=deps.kind.name)
