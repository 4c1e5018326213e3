"""Rest until it is time: a short while in place, longer by ending the leg, which frees the worker."""

from __future__ import annotations

from langgraph.types import interrupt

from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.state import Heal, Update

LONGEST_IN_PLACE_SECONDS = 2.0


async def wait(heal: Heal, deps: Deps, leg: Leg) -> Update:
    assert heal.wait is not None, "only a heal that has something to wait for comes here"
    remaining = (heal.wait.until - deps.clock.now()).total_seconds()
    if remaining > LONGEST_IN_PLACE_SECONDS and not deps.settings.inline_waits:
        interrupt({"wait": heal.wait.model_dump(mode="json")})
        remaining = 0.0
    if remaining > 0:
        await deps.clock.sleep(min(remaining, LONGEST_IN_PLACE_SECONDS))
    over = remaining <= LONGEST_IN_PLACE_SECONDS
    return {"wait": heal.wait.model_copy(update={"over": over})}
