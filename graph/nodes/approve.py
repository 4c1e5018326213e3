"""Wait for a human: the interrupt and nothing else, as an interrupted node runs again from its top."""

from __future__ import annotations

from langgraph.types import interrupt

from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.rules.approval import InvalidAnswer, approval_request, read_answer
from graph.state import Heal, Update


async def approve(heal: Heal, deps: Deps, leg: Leg) -> Update:
    assert heal.plan is not None and heal.gate is not None and heal.diagnosis is not None, "asked only about a plan"
    answer = interrupt(approval_request(heal.incident, heal.diagnosis, heal.plan, heal.gate))
    try:
        approval = read_answer(answer, heal.plan.plan_fingerprint, deps.settings.decider, deps.clock.now())
    except InvalidAnswer as error:
        reason = f"{heal.gate.reason}. The last answer could not be read: {error}"
        return {"approval": None, "gate": heal.gate.model_copy(update={"reason": reason[:500]})}
    return {"approval": approval}
