"""One side effect, once: begin it in the journal, do it within its deadline, or find out what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from graph.doing import on_behalf_of
from graph.nodes.wrapper import Leg
from graph.ports import (
    ActionOutput,
    AlreadyStarted,
    Deps,
    Hold,
    JournalRequest,
    LeaseLost,
    PermanentError,
    Probe,
    Refusal,
    Started,
)
from graph.records import ActionResult, PlanStep, Resource
from graph.rules.clocks import set_back_since
from graph.spans import span
from graph.state import Heal

Status = Literal["succeeded", "failed", "unknown", "refused", "pending"]

_PROVEN: Mapping[str, Literal["succeeded", "failed", "unknown"]] = {
    "took_effect": "succeeded",
    "no_effect": "failed",
    "unknown": "unknown",
}


@dataclass(frozen=True)
class Step:
    """One step of one attempt on one resource, with the key that makes it happen once."""

    heal: Heal
    resource: Resource
    step: PlanStep
    index: int
    undo: bool = False

    @property
    def key(self) -> str:
        return f"{self.heal.incident.id}:{self.heal.attempt}:{'undo-' if self.undo else ''}{self.index}"


async def perform(step: Step, deps: Deps, leg: Leg) -> ActionResult:
    """Carry one step as far as it goes now. Raises LeaseLost where another worker has taken over."""
    name = step.step.action
    with (
        on_behalf_of(step.heal.incident.id, "action", step.key),
        span(f"selfheal.action {name}", action=name, step=step.key, undo=step.undo) as seen,
    ):
        result = await _perform(step, deps, leg)
        seen.note(status=result.status)
        return result


async def _perform(step: Step, deps: Deps, leg: Leg) -> ActionResult:
    if deps.actions.spec(step.step.action).risk == "read_only":
        return await _read_only(step, deps)
    found = await deps.journal.find(step.key)
    if found is not None:
        return await _settle(step, found, deps, leg)
    if refused := await deps.actions.precondition(step.resource, step.step):
        return _result(step, deps, "refused", refused, rule="precondition")
    request = await _request(step, deps, leg)
    begun = await deps.journal.start(request)
    if isinstance(begun, AlreadyStarted):
        return await _settle(step, begun, deps, leg)
    return await _begun(step, begun, request, deps)


async def _begun(step: Step, begun: Started | Hold | Refusal, request: JournalRequest, deps: Deps) -> ActionResult:
    if isinstance(begun, Refusal):
        if begun.rule == "lease_lost":
            raise LeaseLost(begun.reason)
        return _result(step, deps, "refused", begun.reason, rule=begun.rule)
    if isinstance(begun, Hold):
        held = _result(step, deps, "pending", begun.reason, rule=begun.rule)
        return held.model_copy(update={"look_again_at": begun.until})
    output = await _run(step, begun, deps)
    if output.status == "unknown":
        output = await _find_out(step, output.output, request.baseline, deps)
    result = _result(step, deps, output.status, output.output)
    result = result.model_copy(update={"started_at": begun.started_at, "finished_at": deps.clock.now()})
    await deps.journal.finish(result)
    return result


async def _run(step: Step, begun: Started, deps: Deps) -> ActionOutput:
    deadline = deps.actions.spec(step.step.action).deadline_seconds
    try:
        async with asyncio.timeout(deadline):
            return await deps.actions.run(step.resource, step.step, step.key, begun.started_at)
    except TimeoutError:
        return ActionOutput("unknown", f"no answer within its deadline of {deadline:g} s")


async def _settle(step: Step, found: AlreadyStarted, deps: Deps, leg: Leg) -> ActionResult:
    """A step that was begun before: take its result, wait out its deadline, or prove what became of it.

    Raises PermanentError where it was begun for another plan: its result says nothing of this one.
    """
    plan = step.heal.plan
    if found.plan_fingerprint and plan is not None and found.plan_fingerprint != plan.plan_fingerprint:
        raise PermanentError(
            f"step {step.key} was begun for another plan ({found.plan_fingerprint}): not taken for ours"
        )
    if found.result is not None:
        return found.result
    probe = await deps.actions.probe(step.resource, step.step, step.key, found.baseline)
    until = _until_over(step, found, deps)
    if probe.effect != "took_effect" and deps.clock.now() < until:
        # The run may still be under way until then: only an effect that is already there can be believed.
        reason = "begun by a worker that died; its deadline is waited out before judging"
        pending = _result(step, deps, "pending", reason, rule="deadline")
        return pending.model_copy(update={"look_again_at": until, "started_at": found.started_at})
    if probe.effect == "no_effect":
        request = await _request(step, deps, leg)
        return await _begun(step, await deps.journal.restart(request), request, deps)
    output = _proven(probe, "the worker died before it wrote how this ended")
    result = _result(step, deps, output.status, output.output).model_copy(
        update={"started_at": found.started_at, "finished_at": deps.clock.now(), "proven_by_probe": True}
    )
    await deps.journal.finish(result)
    return result


def _until_over(step: Step, found: AlreadyStarted, deps: Deps) -> datetime:
    """When a run that was begun is over in any case. Where the clock was set back since, that is a whole deadline from
    the first look after it: until then the run may have been going on."""
    if not set_back_since(found.started_at, deps.clock.now()):
        return found.deadline_at
    asked = next((item for item in step.heal.results if item.idempotency_key == step.key), None)
    over = deps.clock.now() + (found.deadline_at - found.started_at)
    if asked is None or asked.rule != "deadline" or asked.look_again_at is None:
        return over
    return min(asked.look_again_at, over)


async def _find_out(step: Step, lost: str, baseline: Mapping[str, Any], deps: Deps) -> ActionOutput:
    """Ask the world what became of a run whose end we did not see. `failed` without effect, or with a bad end."""
    return _proven(await deps.actions.probe(step.resource, step.step, step.key, baseline), lost)


def _proven(probe: Probe, lost: str) -> ActionOutput:
    status = _PROVEN[probe.effect] if probe.exit_status in (None, 0) else "failed"
    return ActionOutput(status, f"{lost}; found out: {probe.observed}")


async def _read_only(step: Step, deps: Deps) -> ActionResult:
    """Waiting changes nothing, so it needs no journal: only its beginning must be remembered."""
    earlier = next((item for item in step.heal.results if item.idempotency_key == step.key), None)
    began = earlier.started_at if earlier and earlier.started_at else deps.clock.now()
    if set_back_since(began, deps.clock.now()):
        began = deps.clock.now()
    deadline = deps.actions.spec(step.step.action).deadline_seconds
    try:
        async with asyncio.timeout(deadline):
            output = await deps.actions.run(step.resource, step.step, step.key, began)
    except TimeoutError:
        output = ActionOutput("failed", f"no answer within {deadline:g} s")
    finished = None if output.status == "pending" else deps.clock.now()
    return _result(step, deps, output.status, output.output).model_copy(
        update={"started_at": began, "finished_at": finished, "look_again_at": output.look_again_at}
    )


async def _request(step: Step, deps: Deps, leg: Leg) -> JournalRequest:
    spec = deps.actions.spec(step.step.action)
    plan, gate = step.heal.plan, step.heal.gate
    assert plan is not None and gate is not None, "only a gated plan is executed"
    return JournalRequest(
        idempotency_key=step.key,
        incident_id=step.heal.incident.id,
        holder=leg.holder,
        touches=deps.actions.touches(step.resource, step.step),
        action=step.step.action,
        rendered=step.step.rendered,
        deadline_seconds=spec.deadline_seconds,
        attempt=step.heal.attempt,
        plan_fingerprint=plan.plan_fingerprint,
        approval_needed=gate.rule == "approved",
        baseline=await deps.actions.baseline(step.resource, step.step),
        now=deps.clock.now(),
        undo=step.undo,
        risk=plan.risk,
        actions=tuple(dict.fromkeys(item.action for item in plan.steps if item.risk != "read_only")),
    )


def _result(step: Step, deps: Deps, status: Status, output: str, rule: str = "") -> ActionResult:
    return ActionResult(
        idempotency_key=step.key,
        action=step.step.action,
        params=step.step.params,
        step=step.index,
        status=status,
        rendered=step.step.rendered,
        output=output[:500],
        rule=rule,
        undo=step.undo,
    )
