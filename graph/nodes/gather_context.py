"""Ask every source of evidence at once."""

from __future__ import annotations

import asyncio

from graph.doing import on_behalf_of
from graph.nodes.observing import observe
from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.state import Heal, Update


async def gather_context(heal: Heal, deps: Deps, leg: Leg) -> Update:
    """One Evidence a source, in the kind's order, with ids E1, E2, … (E2.1, E2.2, … in the second attempt)."""
    prefix = "E" if heal.attempt == 1 else f"E{heal.attempt}."
    asked = (observe(source, heal.incident, deps, f"{prefix}{n}") for n, source in enumerate(deps.sources, 1))
    with on_behalf_of(heal.incident.id, "evidence"):
        return {"evidence": tuple(await asyncio.gather(*asked)), "inquiries": ()}
