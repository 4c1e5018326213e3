"""Carry out the next step of the plan: one side effect a super-step."""

from __future__ import annotations

from graph.nodes.perform import Step, perform
from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.records import ActionResult, Stop, Wait
from graph.rules.progress import next_step, with_result
from graph.state import Heal, Update


async def execute(heal: Heal, deps: Deps, leg: Leg) -> Update:
    assert heal.plan is not None and heal.incident.resource is not None, "only a gated plan is executed"
    index = next_step(heal.plan, heal.results)
    if index is None:
        return {}
    result = await perform(Step(heal, heal.incident.resource, heal.plan.steps[index], index), deps, leg)
    update: Update = {"results": with_result(heal.results, result)}
    return update | resting(result, "execute") | stopping(result)


def resting(result: ActionResult, then: str) -> Update:
    """The wait a pending result asks for."""
    if result.status != "pending" or result.look_again_at is None:
        return {}
    reason = f"{result.action}: {result.output}"
    wait = {"until": result.look_again_at, "reason": reason, "then": then, "rule": result.rule}
    return {"wait": Wait.model_validate(wait)}


def stopping(result: ActionResult) -> Update:
    """The stop that the journal found in the moment of beginning."""
    if result.rule == "cancelled":
        return {"stop": Stop(rule="cancelled", reason=result.output)}
    if result.rule == "alerts_resolved":
        return {"stop": Stop(rule="alerts_resolved", reason=result.output)}
    return {}
