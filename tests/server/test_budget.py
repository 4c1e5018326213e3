"""The fleet's budget where it is kept: in the one transaction that begins a side effect, for all workers there are."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from agents.legs import Resting
from graph.ports import Hold, Started
from graph.records import ActionResult
from graph.rules.budget import FleetLimits
from tests.server.fleet_world import LONE, WEB, Fleet


async def test_of_two_workers_that_want_the_last_place_one_gets_it_and_the_other_waits(fleet: Fleet) -> None:
    other = fleet.open()
    ids = [await fleet.running(f"web-{n}", f"w{n}:1") for n in (1, 2)]
    requests = [fleet.of(id_, f"web-{n}", f"w{n}:1") for n, id_ in enumerate(ids, 1)]
    verdicts = await asyncio.gather(fleet.store.start(requests[0]), other.start(requests[1]))
    [held] = [verdict for verdict in verdicts if isinstance(verdict, Hold)]
    assert sum(isinstance(verdict, Started) for verdict in verdicts) == 1
    assert held.rule == "fleet_budget" and "1 of 4 machines" in held.reason
    assert held.until == fleet.at + timedelta(seconds=30)


async def test_a_hundred_starts_of_two_workers_never_take_more_places_than_there_are(fleet: Fleet) -> None:
    fleet.ruled(FleetLimits(3, machines={"web": 8}))
    stores = [fleet.store, fleet.open()]
    ids = [await fleet.running(f"web-{n}", f"w{n}:1") for n in range(1, 9)]
    asked = [
        stores[turn % 2].start(fleet.of(id_, f"web-{n}", f"w{n}:1", idempotency_key=f"{id_}:1:0"))
        for turn in range(12)
        for n, id_ in enumerate(ids, 1)
    ]
    verdicts = await asyncio.gather(*asked)
    assert sum(isinstance(verdict, Started) for verdict in verdicts) == 3
    assert (await fleet.budget())["used"] == 3


async def test_the_gate_sees_what_the_journal_would_say_and_not_against_oneself(fleet: Fleet) -> None:
    await fleet.repairing("web-1")
    seen = (await fleet.store.view(WEB[1])).no_place
    assert seen is not None and "#1 (Instance/web-1)" in seen.reason
    assert (await fleet.store.view(WEB[0])).no_place is None
    assert (await fleet.store.view(LONE)).no_place is None


async def test_a_repair_of_low_risk_needs_no_place(fleet: Fleet) -> None:
    await fleet.repairing("web-1")
    second = await fleet.running("web-2", "w:2")
    assert isinstance(await fleet.start(second, "web-2", "w:2", risk="low"), Started)
    assert (await fleet.budget())["used"] == 1


async def test_what_has_no_group_is_repaired_whoever_else_is(fleet: Fleet) -> None:
    await fleet.repairing("web-1")
    lone = await fleet.running("lone", "w:2")
    assert isinstance(await fleet.start(lone, "lone", "w:2"), Started)
    assert [one["resource"] for one in (await fleet.budget(""))["incidents"]] == ["Instance/lone"]


async def test_a_repair_keeps_its_place_while_it_is_being_verified(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    await fleet.store.finish(
        ActionResult(idempotency_key=f"{first}:1:0", action="restart_service", step=0, status="succeeded")
    )
    await fleet.end(first, Resting(fleet.at + timedelta(seconds=30), "must hold for 30 s"))
    await fleet.held("web-2", "w:2")
    assert await fleet.runnable() == []


async def test_the_next_steps_of_a_repair_wait_for_nothing(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    fleet.ruled(
        FleetLimits(1, group_actions_per_hour=1, actions_per_hour={"restart_service": 1}), max_actions_per_hour=1
    )
    assert isinstance(await fleet.start(first, "web-1", idempotency_key=f"{first}:1:1"), Started)


async def test_what_undoes_a_repair_waits_for_nothing_and_counts(fleet: Fleet) -> None:
    await fleet.repairing("web-1")
    second = await fleet.running("web-2", "w:2")
    fleet.ruled(
        FleetLimits(1, group_actions_per_hour=1, actions_per_hour={"restart_service": 1}), max_actions_per_hour=0
    )
    assert isinstance(await fleet.start(second, "web-2", "w:2", undo=True), Started)
    assert (await fleet.budget())["used"] == 2


async def test_a_step_without_effect_is_begun_anew_in_the_place_it_has(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    assert isinstance(await fleet.store.restart(fleet.of(first, "web-1")), Started)
    assert (await fleet.budget())["used"] == 1


async def test_a_step_without_effect_and_without_a_place_is_begun_anew_only_where_there_is_one(fleet: Fleet) -> None:
    """As after an upgrade: what an older release began reserved nothing."""
    first = await fleet.repairing("web-1")
    await fleet.store._db.write(lambda c: c.exec_driver_sql("DELETE FROM places"))
    await fleet.repairing("web-2", "w:2")
    verdict = await fleet.store.restart(fleet.of(first, "web-1"))
    assert isinstance(verdict, Hold) and verdict.rule == "fleet_budget"
