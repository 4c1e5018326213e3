"""All that must hold before a side effect, checked in the transaction that begins it: one refusal after the other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agents.legs import Finished
from graph.ports import AlreadyStarted, Hold, Refusal, Started
from graph.records import ActionResult, Outcome
from tests.server.world import World, alert, plan


async def running(world: World) -> str:
    incident_id = await world.opened()
    await world.begin(incident_id)
    return incident_id


async def test_a_side_effect_is_begun_once(world: World) -> None:
    incident_id = await running(world)
    assert isinstance(await world.store.start(world.request(incident_id)), Started)
    again = await world.store.start(world.request(incident_id))
    assert isinstance(again, AlreadyStarted)
    assert again.result is None and again.baseline == {"invocation_id": "a"}


async def test_its_result_is_given_to_whoever_comes_later(world: World) -> None:
    incident_id = await running(world)
    await world.store.start(world.request(incident_id))
    done = ActionResult(
        idempotency_key=f"{incident_id}:1:0",
        action="restart_service",
        step=0,
        status="succeeded",
        started_at=world.at,
        finished_at=world.at,
    )
    await world.store.finish(done)
    await world.store.finish(done.model_copy(update={"status": "failed"}))
    found = await world.store.find(done.idempotency_key)
    assert found is not None and found.result == done


@pytest.mark.parametrize("change", [{"holder": "zombie:1"}, {"late": 16}])
async def test_a_worker_without_the_current_lease_begins_nothing(world: World, change: dict[str, Any]) -> None:
    incident_id = await running(world)
    world.later(change.get("late", 0))
    verdict = await world.store.start(world.request(incident_id, holder=change.get("holder", "w:1")))
    assert isinstance(verdict, Refusal) and verdict.rule == "lease_lost"
    assert await world.store.find(f"{incident_id}:1:0") is None


async def test_a_cancelled_heal_begins_nothing(world: World) -> None:
    incident_id = await running(world)
    await world.store.cancel(incident_id, "ada")
    verdict = await world.store.start(world.request(incident_id))
    assert isinstance(verdict, Refusal) and verdict.rule == "cancelled"


async def test_a_heal_whose_alerts_resolved_begins_nothing(world: World) -> None:
    incident_id = await running(world)
    await world.post(alert(status="resolved"))
    verdict = await world.store.start(world.request(incident_id))
    assert isinstance(verdict, Refusal) and verdict.rule == "alerts_resolved"


async def test_an_undo_goes_on_even_when_cancelled(world: World) -> None:
    incident_id = await running(world)
    await world.store.cancel(incident_id, "ada")
    assert isinstance(await world.store.start(world.request(incident_id, undo=True)), Started)


async def test_paused_repairs_hold(world: World) -> None:
    incident_id = await running(world)
    await world.store.pause("ada", "change freeze")
    verdict = await world.store.start(world.request(incident_id))
    assert isinstance(verdict, Hold) and "change freeze" in verdict.reason
    await world.store.resume("ada")
    assert isinstance(await world.store.start(world.request(incident_id)), Started)


async def test_an_approval_of_this_very_plan_is_needed_where_a_human_was_asked(world: World) -> None:
    incident_id = await running(world)
    await world.end(incident_id, world.asking())
    await world.store.decide(incident_id, "approve", plan().plan_fingerprint, "ada")
    await world.begin(incident_id, "w:2")
    other = world.request(incident_id, "w:2", approval_needed=True, plan_fingerprint=plan("other").plan_fingerprint)
    verdict = await world.store.start(other)
    assert isinstance(verdict, Refusal) and verdict.rule == "not_approved"
    assert isinstance(await world.store.start(world.request(incident_id, "w:2", approval_needed=True)), Started)


async def test_a_rejected_plan_is_not_approved(world: World) -> None:
    incident_id = await running(world)
    await world.end(incident_id, world.asking())
    await world.store.decide(incident_id, "reject", plan().plan_fingerprint, "ada")
    await world.begin(incident_id, "w:2")
    verdict = await world.store.start(world.request(incident_id, "w:2", approval_needed=True))
    assert isinstance(verdict, Refusal)


async def test_what_another_incident_holds_is_waited_for(world: World) -> None:
    first = await running(world)
    await world.store.start(world.request(first, touches=("Instance/inst-1", "host/192.0.2.1")))
    second = await world.opened(alert(resource_id="inst-2"))
    await world.begin(second, "w:2")
    verdict = await world.store.start(world.request(second, "w:2", touches=("Instance/inst-2", "host/192.0.2.1")))
    assert isinstance(verdict, Hold) and "#1" in verdict.reason


async def test_while_it_waits_for_one_lease_it_keeps_no_other_from_anybody(world: World) -> None:
    first = await running(world)
    await world.store.start(world.request(first, touches=("Instance/inst-1", "host/a")))
    second = await world.opened(alert(resource_id="inst-2"))
    await world.begin(second, "w:2")
    held = await world.store.start(world.request(second, "w:2", touches=("Instance/inst-2", "host/b", "host/a")))
    assert isinstance(held, Hold)
    more = world.request(first, touches=("Instance/inst-1", "host/b"), idempotency_key=f"{first}:1:1")
    assert isinstance(await world.store.start(more), Started)


@pytest.mark.parametrize(("rule", "free"), [("max_retries", True), ("effect_unknown", False)])
async def test_an_escalated_incident_lets_go_of_the_host_unless_something_may_still_act_there(
    world: World, rule: str, free: bool
) -> None:
    first = await running(world)
    await world.store.start(world.request(first, touches=("Instance/inst-1", "host/a")))
    await world.end(first, Finished(Outcome(status="escalated", rule=rule, reason="so it ended")))
    second = await world.opened(alert(resource_id="inst-2"))
    await world.begin(second, "w:2")
    verdict = await world.store.start(world.request(second, "w:2", touches=("Instance/inst-2", "host/a")))
    assert isinstance(verdict, Started if free else Hold)


async def test_a_step_proven_without_effect_may_begin_anew_but_not_once_it_has_ended(world: World) -> None:
    incident_id = await running(world)
    await world.store.start(world.request(incident_id))
    assert isinstance(await world.store.restart(world.request(incident_id)), Started)
    await world.store.finish(
        ActionResult(
            idempotency_key=f"{incident_id}:1:0",
            action="restart_service",
            step=0,
            status="succeeded",
            finished_at=world.at,
        )
    )
    assert isinstance(await world.store.restart(world.request(incident_id)), Refusal)


async def test_the_fleet_view_counts_the_last_hours_actions_on_the_resource(world: World) -> None:
    incident_id = await running(world)
    await world.store.start(world.request(incident_id))
    record = await world.store.resource_of(incident_id)
    assert record is not None
    assert (await world.store.view(record)).recent_actions == 1
    world.later(3601)
    assert (await world.store.view(record)).recent_actions == 0


async def test_nothing_is_begun_beside_a_step_of_the_same_heal_that_may_still_run(world: World) -> None:
    incident_id = await running(world)
    await world.store.start(world.request(incident_id, deadline_seconds=10.0))
    beside = world.request(incident_id, idempotency_key=f"{incident_id}:2:0", attempt=2)
    held = await world.store.start(beside)
    assert isinstance(held, Hold) and held.rule == "unsettled" and "restart_service" in held.reason
    world.later(11)
    assert isinstance(await world.store.start(beside), Started)


async def test_who_was_stopped_between_asking_and_writing_has_neither_lease_nor_more_time(world: World) -> None:
    incident_id = await running(world)
    request = world.request(incident_id)
    world.later(10)
    assert isinstance(await world.store.start(request), Started)
    found = await world.store.find(request.idempotency_key)
    assert found is not None and found.deadline_at == world.at + timedelta(seconds=30)
    world.later(6)
    late = await world.store.start(world.request(incident_id, idempotency_key="k", now=request.now))
    assert isinstance(late, Refusal) and late.rule == "lease_lost"
