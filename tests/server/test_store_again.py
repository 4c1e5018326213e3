"""What comes again: alerts that return in the middle, heals that are opened again, answers that were already given."""

from __future__ import annotations

from datetime import datetime

import pytest

from agents.legs import Resting
from graph.ports import Entry, Started
from server.store import StoreError
from tests.server.world import World, alert, plan


async def mitigated(world: World, began: datetime) -> str:
    """An incident whose heal acted and was seen healthy."""
    incident_id = await world.opened(alert(starts_at=began))
    await world.begin(incident_id)
    suspected = {"diagnosis": {"suspected_cause": "process_crashed"}}
    await world.store.tell(Entry(incident_id, "d", world.at, "diagnose", "runbook", "suspects", suspected))
    assert isinstance(await world.store.start(world.request(incident_id)), Started)
    await world.store.tell(Entry(incident_id, "outcome", world.at, "close", "self-heal", "mitigated: held"))
    await world.end(incident_id, world.finished("mitigated", world.at))
    return incident_id


async def reopened(world: World, began: datetime) -> str:
    incident_id = await mitigated(world, began)
    await world.post(alert(starts_at=began))
    await world.store.rechecked(incident_id, True, "Prometheus still shows InstanceDown")
    return incident_id


async def test_a_reopened_heal_knows_the_attempt_that_held_only_at_first(world: World) -> None:
    incident_id = await reopened(world, world.at)
    [attempt] = (await world.begin(incident_id, "w:2")).attempts
    assert (attempt.number, attempt.acted, attempt.suspected_cause) == (1, True, "process_crashed")
    assert attempt.plan_fingerprint == plan().plan_fingerprint and "held at first" in attempt.why_ended


async def test_a_reopened_heal_that_has_done_nothing_yet_stops_when_its_alerts_resolve(world: World) -> None:
    incident_id = await reopened(world, world.at)
    await world.begin(incident_id, "w:2")
    await world.post(alert(status="resolved"))
    stop = await world.store.stop(incident_id)
    assert stop is not None and stop.rule == "alerts_resolved"


async def test_both_endings_of_a_reopened_heal_stay_in_its_timeline(world: World) -> None:
    incident_id = await reopened(world, world.at)
    await world.begin(incident_id, "w:2")
    await world.store.tell(Entry(incident_id, "outcome", world.at, "close", "self-heal", "escalated: no more ideas"))
    record = await world.store.incident(incident_id)
    assert record is not None
    told = [entry["sentence"] for entry in record["timeline"]]
    assert told.index("mitigated: held") < told.index("reopened: Prometheus still shows InstanceDown")
    assert told[-1] == "escalated: no more ideas"


async def test_a_reopened_heal_killed_after_it_had_begun_goes_on_with_its_new_thread(world: World) -> None:
    incident_id = await reopened(world, world.at)
    assert (await world.begin(incident_id, "w:2")).fresh
    await world.store.tell(Entry(incident_id, "g", world.at, "gather_context", "self-heal", "asked 3 sources"))
    await world.store.start_over()
    assert not (await world.begin(incident_id, "w:3")).fresh


async def test_a_reopened_heal_killed_before_it_had_begun_still_leaves_its_old_thread(world: World) -> None:
    incident_id = await reopened(world, world.at)
    await world.begin(incident_id, "w:2")
    await world.store.start_over()
    assert (await world.begin(incident_id, "w:3")).fresh


async def test_nothing_is_reopened_beside_an_open_incident_of_the_resource(world: World) -> None:
    began = world.at
    first = await mitigated(world, began)
    await world.post(alert(starts_at=began))
    second = await world.opened(alert("ServiceDown"))
    await world.store.rechecked(first, True, "still there")
    assert [item.incident_id for item in await world.store.runnable()] == [second]
    assert await world.store.to_recheck() == []


async def test_an_alert_that_joined_during_the_last_leg_is_looked_at_again(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    world.later(1)
    await world.post(alert("DiskFull"))
    world.later(1)
    await world.end(incident_id, world.finished("mitigated", world.at))
    assert [item.id for item in await world.store.to_recheck()] == [incident_id]


async def test_an_alert_that_joined_before_the_last_leg_was_verified_with_the_others(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    world.later(1)
    await world.post(alert("DiskFull"))
    await world.end(incident_id, Resting(world.at, "soaking"))
    world.later(1)
    await world.begin(incident_id, "w:2")
    await world.end(incident_id, world.finished("mitigated", world.at), "w:2")
    assert await world.store.to_recheck() == []


async def test_an_alert_that_fires_again_while_the_heal_closes_itself_is_looked_at_again(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.post(alert(status="resolved"))
    assert await world.store.stop(incident_id) is not None
    world.later(1)
    await world.post(alert())
    await world.end(incident_id, world.finished("self_resolved"))
    assert [item.id for item in await world.store.to_recheck()] == [incident_id]


async def test_a_repeat_of_the_same_firing_is_no_news(world: World) -> None:
    began = world.at
    incident_id = await world.opened(alert(starts_at=began))
    await world.begin(incident_id)
    world.later(1)
    await world.post(alert(starts_at=began))
    await world.end(incident_id, world.finished("mitigated", world.at))
    assert await world.store.to_recheck() == []


async def test_repeats_do_not_push_an_incident_back_in_the_queue(world: World) -> None:
    first = await world.opened(alert())
    world.later(1)
    second = await world.opened(alert(resource_id="inst-2"))
    world.later(1)
    await world.post(alert())
    assert [item.incident_id for item in await world.store.runnable()] == [first, second]


async def test_an_answer_that_was_taken_in_does_not_answer_a_later_leg(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.asking())
    await world.store.decide(incident_id, "approve", plan().plan_fingerprint, "ada")
    assert (await world.begin(incident_id, "w:2")).decision is not None
    await world.end(incident_id, Resting(world.at, "soaking"), "w:2")
    assert (await world.begin(incident_id, "w:3")).decision is None


async def test_an_answer_whose_worker_died_is_given_to_the_next(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.asking())
    await world.store.decide(incident_id, "approve", plan().plan_fingerprint, "ada")
    await world.begin(incident_id, "w:2")
    await world.store.start_over()
    assert (await world.begin(incident_id, "w:3")).decision is not None


async def test_a_takeover_is_told(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id, "w:1")
    world.later(16)
    await world.store.take_back()
    record = await world.store.incident(incident_id)
    assert record is not None and "w:1 was not heard of" in record["timeline"][-1]["sentence"]


@pytest.mark.parametrize("reference", ["9" * 40, "²", "", "no-such-id"])
async def test_a_reference_that_names_nothing_finds_nothing(world: World, reference: str) -> None:
    assert await world.store.incident(reference) is None


async def test_a_closed_store_says_so_instead_of_keeping_its_caller_waiting(world: World) -> None:
    await world.store.close()
    with pytest.raises(StoreError, match="closed"):
        await world.store.ready()
