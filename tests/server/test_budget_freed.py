"""When a place in a group's budget is free again, and who gets it then."""

from __future__ import annotations

import pytest

from agents.legs import LegEnd, Resting
from graph.ports import Hold, Refusal, Started
from graph.records import AlertGroup
from server.store import Failed
from tests.server.fleet_world import Fleet, ended, placing
from tests.server.world import alert


@pytest.mark.parametrize(
    "end",
    [ended("mitigated", "verified"), ended("escalated", "max_retries"), ended("self_resolved"), ended("declined")],
    ids=lambda end: end.outcome.status,
)
async def test_the_end_of_a_heal_frees_its_place_and_wakes_who_has_waited_longest(fleet: Fleet, end: LegEnd) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    fleet.later(1)
    third, _ = await fleet.held("web-3", "w:2")
    assert await fleet.runnable() == []
    await fleet.store.renew([(first, "w:1")], 15)
    assert await fleet.end(first, end)
    assert await fleet.runnable() == [second]
    assert [one["promised"] for one in (await fleet.budget())["incidents"]] == [True]
    await fleet.begin(second, "w:4")
    assert isinstance(await fleet.start(second, "web-2", "w:4"), Started)
    assert [one["number"] for one in (await fleet.budget())["waiting"]] == [3]
    await fleet.end(second, end, "w:4")
    assert await fleet.runnable() == [third]


async def test_a_cancelled_heal_frees_its_place_once_it_has_ended(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    await fleet.store.cancel(first, "ada")
    assert await fleet.runnable() == []
    await fleet.end(first, ended("declined", "cancelled"))
    assert await fleet.runnable() == [second]


async def test_an_attempt_that_failed_frees_its_place_though_the_heal_goes_on(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    await fleet.retried(first)
    assert await fleet.runnable() == [second]
    verdict = await fleet.start(first, "web-1", attempt=2, idempotency_key=f"{first}:2:0")
    assert isinstance(verdict, Hold) and "#2 (Instance/web-2, next in turn)" in verdict.reason


async def test_an_attempt_told_of_twice_frees_nothing_of_the_next_attempt(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    await fleet.retried(first)
    assert isinstance(await fleet.start(first, "web-1", attempt=2, idempotency_key=f"{first}:2:0"), Started)
    await fleet.retried(first)
    assert (await fleet.budget())["used"] == 1


async def test_another_worker_takes_the_place_over_with_the_incident(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    fleet.later(16)
    other = fleet.open()
    assert await other.take_back() == 1
    assert await fleet.runnable() == [first]
    await fleet.begin(first, "w2:1")
    assert (await fleet.budget())["used"] == 1
    await fleet.end(first, ended("mitigated"), "w2:1")
    assert (await fleet.budget())["incidents"][0]["number"] == 2 and await fleet.runnable() == [second]


async def test_a_restart_of_the_server_loses_and_leaks_no_place(fleet: Fleet) -> None:
    await fleet.repairing("web-1")
    await fleet.store.close()
    fleet.store = fleet.open()
    await fleet.store.start_over()
    assert (await fleet.budget())["used"] == 1


@pytest.mark.parametrize("way", ["close", "retry", "resolve"])
async def test_what_may_still_be_under_way_keeps_its_place_until_somebody_says_it_is_over(
    fleet: Fleet, way: str
) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    await fleet.end(first, ended("escalated", "effect_unknown"))
    assert (await fleet.budget())["used"] == 1 and await fleet.runnable() == []
    if way == "close":
        await fleet.store.close_incident(first, "ada")
    elif way == "retry":
        await fleet.store.retry(first, "ada")
    else:
        await fleet.store.accept(AlertGroup(alerts=(alert(status="resolved", resource_id="web-1"),)), placing)
    assert second in await fleet.runnable()


async def test_a_freed_place_is_kept_a_moment_for_who_is_next_and_then_for_anybody(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    await fleet.end(first, ended("mitigated"))
    third = await fleet.running("web-3", "w:3")
    assert isinstance(await fleet.start(third, "web-3", "w:3"), Hold)
    fleet.later(16)
    await fleet.store.take_back()
    await fleet.begin(third, "w:4")
    assert isinstance(await fleet.start(third, "web-3", "w:4"), Started)
    await fleet.begin(second, "w:5")
    assert isinstance(await fleet.start(second, "web-2", "w:5"), Hold)


@pytest.mark.parametrize("paused", [True, False], ids=["paused", "failed"])
async def test_a_promise_that_is_not_taken_up_goes_to_the_next(fleet: Fleet, paused: bool) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    third, _ = await fleet.held("web-3", "w:3")
    await fleet.end(first, ended("mitigated"))
    await fleet.begin(second, "w:4")
    await fleet.end(second, Resting(fleet.at, "paused", "paused") if paused else Failed("x"), "w:4")
    assert third in await fleet.runnable()
    assert [one["number"] for one in (await fleet.budget())["incidents"]] == [3]


async def test_a_place_freed_between_the_look_and_the_rest_is_not_missed(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second = await fleet.running("web-2", "w:2")
    verdict = await fleet.start(second, "web-2", "w:2")
    assert isinstance(verdict, Hold)
    await fleet.end(first, ended("mitigated"))
    await fleet.end(second, Resting(verdict.until, verdict.reason, verdict.rule), "w:2")
    assert await fleet.runnable() == [second]


async def test_who_is_looked_at_again_in_vain_keeps_its_turn(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    fleet.later(1)
    await fleet.held("web-3", "w:3")
    fleet.later(30)
    await fleet.begin(second, "w:4")
    verdict = await fleet.start(second, "web-2", "w:4")
    assert isinstance(verdict, Hold)
    await fleet.end(second, Resting(verdict.until, verdict.reason, verdict.rule), "w:4")
    assert [one["number"] for one in (await fleet.budget())["waiting"]] == [2, 3]
    assert first


async def test_an_unapproved_plan_is_refused_before_it_takes_a_place(fleet: Fleet) -> None:
    first = await fleet.running("web-1")
    assert isinstance(await fleet.start(first, "web-1", approval_needed=True), Refusal)
    assert (await fleet.budget())["used"] == 0


async def test_who_waits_for_a_lease_holds_no_place_meanwhile(fleet: Fleet) -> None:
    lone = await fleet.running("lone", "w:9")
    assert isinstance(
        await fleet.start(
            lone,
            "lone",
            "w:9",
        ),
        Started,
    )
    first = await fleet.running("web-1")
    waits = fleet.request(first, touches=("Instance/web-1", "Instance/lone"))
    verdict = await fleet.store.start(waits)
    assert isinstance(verdict, Hold) and verdict.rule == "leased"
    assert (await fleet.budget())["used"] == 0
