"""Hand over to a human, and say why in one sentence."""

from __future__ import annotations

from graph.nodes.gate import autonomy_of
from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.records import Outcome
from graph.rules.escalation import Escalate, cannot_continue, next_move, why_escalate
from graph.state import Heal, Update


async def escalate(heal: Heal, deps: Deps, leg: Leg) -> Update:
    why = _why(heal, deps)
    return {"outcome": Outcome(status="escalated", reason=why.reason, rule=why.rule)}


def _why(heal: Heal, deps: Deps) -> Escalate:
    if blocked := cannot_continue(heal.results, heal.verification):
        return blocked
    if heal.attempts and not heal.results:
        move = next_move(heal.attempts, autonomy_of(heal, deps))
        if isinstance(move, Escalate):
            return move
    return why_escalate(heal.diagnosis, heal.plan, heal.gate, heal.approval, heal.verification)
