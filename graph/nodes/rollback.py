"""Undo what a failed attempt did, latest first, one undo step a super-step, journaled alike."""

from __future__ import annotations

from graph.nodes.execute import resting
from graph.nodes.perform import Step, perform
from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.rules.progress import next_undo, with_result
from graph.state import Heal, Update


async def rollback(heal: Heal, deps: Deps, leg: Leg) -> Update:
    assert heal.plan is not None and heal.incident.resource is not None, "only an executed plan is rolled back"
    found = next_undo(heal.plan, heal.results)
    if found is None:
        return {}
    index, undo = found
    result = await perform(Step(heal, heal.incident.resource, undo, index, undo=True), deps, leg)
    return {"results": with_result(heal.results, result)} | resting(result, "rollback")
