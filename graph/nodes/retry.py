"""Close a failed attempt and remember it: the next one starts from fresh evidence and does not repeat its plan."""

from __future__ import annotations

from graph.nodes.gate import autonomy_of
from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.records import Attempt
from graph.rules.escalation import Retry, next_move, rejection, why_attempt_failed
from graph.state import Heal, Update


async def retry(heal: Heal, deps: Deps, leg: Leg) -> Update:
    assert heal.plan is not None and heal.diagnosis is not None, "only an attempt can be retried"
    started = [result.started_at for result in heal.results if result.started_at is not None]
    attempt = Attempt(
        number=heal.attempt,
        suspected_cause=heal.diagnosis.suspected_cause,
        plan_fingerprint=heal.plan.plan_fingerprint,
        actions=tuple(step.action for step in heal.plan.steps),
        target=heal.diagnosis.target,
        acted=bool(started),
        first_action_at=min(started, default=None),
        why_ended=_why(heal),
        rejected=heal.approval is not None and heal.approval.wants_another,
        rolled_back=any(result.undo and result.status == "succeeded" for result in heal.results),
        ended_at=deps.clock.now(),
    )
    attempts = (*heal.attempts, attempt)
    if not isinstance(next_move(attempts, autonomy_of(heal, deps)), Retry):
        return {"attempts": attempts, "results": ()}
    cleared: Update = dict.fromkeys(("plan", "gate", "approval", "verification", "wait"))
    return {"attempts": attempts, "results": (), "looks": 0, **cleared}


def _why(heal: Heal) -> str:
    if heal.approval is not None and heal.approval.wants_another:
        return rejection(heal.approval)
    return why_attempt_failed(heal.results, heal.verification)
