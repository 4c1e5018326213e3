"""Write how the heal ended, with its times."""

from __future__ import annotations

from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.rules import closing
from graph.state import Heal, Update


async def close(heal: Heal, deps: Deps, leg: Leg) -> Update:
    return {"outcome": closing.outcome(heal, deps.clock.now())}
