"""How often is acted, and how long an escalated resource is left alone, checked as a side effect begins."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents.legs import Resting
from graph.ports import Hold, Started
from graph.rules.budget import FleetLimits, GroupLimits
from server.store import Conflict
from tests.server.fleet_world import LONE, WEB, Fleet, ended
from tests.server.world import plan

# -- rates -----------------------------------------------------------------------------------------------


async def test_an_action_is_begun_only_so_often_an_hour_on_all_resources(fleet: Fleet) -> None:
    fleet.ruled(FleetLimits("100%", actions_per_hour={"restart_service": 1}, machines={"web": 8}))
    await fleet.repairing("web-1")
    began = fleet.at
    fleet.later(60)
    second = await fleet.running("web-2", "w:2")
    held = await fleet.start(second, "web-2", "w:2")
    assert isinstance(held, Hold) and (held.rule, held.until) == ("rate_limit", began + timedelta(hours=1))
    assert held.reason == "restart_service on all resources: 1 in the last hour (at most 1)"
    assert (await fleet.store.view(WEB[1])).actions_spent == {"restart_service": held}
    assert isinstance(await fleet.start(second, "web-2", "w:2", action="reload"), Started)
    [reached] = (await fleet.store.fleet())["rates_reached"]
    assert (reached["what"], reached["why"]) == ("action restart_service", held.reason)


async def test_a_plan_is_not_begun_while_a_later_step_may_not_be(fleet: Fleet) -> None:
    fleet.ruled(FleetLimits("100%", actions_per_hour={"restart_service": 1}, machines={"web": 8}))
    await fleet.repairing("web-1")
    second = await fleet.running("web-2", "w:2")
    both = ("clean_files", "restart_service")
    assert isinstance(await fleet.start(second, "web-2", "w:2", action="clean_files", actions=both), Hold)


async def test_a_group_gets_only_so_many_actions_an_hour(fleet: Fleet) -> None:
    own = {"web": GroupLimits("100%", 2)}
    fleet.ruled(FleetLimits(groups=own, machines={"web": 8}))
    for n in (1, 2):
        await fleet.repairing(f"web-{n}", f"w:{n}")
    third, held = await fleet.held("web-3", "w:3")
    assert held.reason == "actions in group web: 2 in the last hour (at most 2)"
    lone = await fleet.running("lone", "w:4")
    assert isinstance(await fleet.start(lone, "lone", "w:4"), Started)
    fleet.later(3600)
    await fleet.store.take_back()
    await fleet.begin(third, "w:5")
    assert isinstance(await fleet.start(third, "web-3", "w:5"), Started)


async def test_the_journal_holds_what_the_gate_let_pass_a_moment_too_early(fleet: Fleet) -> None:
    fleet.ruled(FleetLimits(), max_actions_per_hour=1)
    first = await fleet.repairing("lone")
    await fleet.retried(first)
    held = await fleet.start(first, "lone", attempt=2, idempotency_key=f"{first}:2:0")
    assert isinstance(held, Hold) and (held.rule, held.until) == ("rate_limit", fleet.at + timedelta(hours=1))


# -- cool-downs ------------------------------------------------------------------------------------------


async def escalated_and_fired_again(fleet: Fleet, rule: str = "max_retries") -> str:
    """A new incident of a resource whose last one was escalated and closed."""
    first = await fleet.running("lone")
    await fleet.end(first, ended("escalated", rule))
    await fleet.store.close_incident(first, "ada")
    return await fleet.running("lone", "w:2")


async def test_after_an_escalation_a_new_incident_of_the_resource_waits(fleet: Fleet) -> None:
    second = await escalated_and_fired_again(fleet)
    held = await fleet.start(second, "lone", "w:2")
    assert isinstance(held, Hold) and (held.rule, held.until) == ("cool_down", fleet.at + timedelta(seconds=900))
    assert "#1" in held.reason
    assert (await fleet.store.view(LONE)).cooling == held
    [cooling] = (await fleet.store.fleet())["cool_downs"]
    assert (cooling["resource"], cooling["number"]) == ("Instance/lone", 1)
    fleet.later(900)
    assert (await fleet.store.view(LONE)).cooling is None and (await fleet.store.fleet())["cool_downs"] == []


async def test_a_retry_of_what_waits_for_the_cool_down_lets_it_go_on_at_once(fleet: Fleet) -> None:
    second = await escalated_and_fired_again(fleet)
    with pytest.raises(Conflict):
        await fleet.store.retry(second, "ada")
    held = await fleet.start(second, "lone", "w:2")
    await fleet.end(second, Resting(held.until, held.reason, held.rule), "w:2")
    record = await fleet.store.incident(second)
    assert record is not None and record["held_by"] == "cool_down"
    await fleet.store.retry(second, "ada")
    assert await fleet.runnable() == [second]
    await fleet.begin(second, "w:3")
    assert isinstance(await fleet.start(second, "lone", "w:3"), Started)
    entries, _ = await fleet.store.audit()
    assert entries[0]["what"] == "retry" and entries[0]["who"] == "ada"


async def test_a_retry_of_the_escalated_incident_itself_overrides_its_cool_down(fleet: Fleet) -> None:
    first = await fleet.running("lone")
    await fleet.end(first, ended("escalated", "max_retries"))
    await fleet.store.retry(first, "ada")
    await fleet.begin(first, "w:2")
    assert isinstance(await fleet.start(first, "lone", "w:2"), Started)


async def test_what_waits_for_something_else_is_not_retried(fleet: Fleet) -> None:
    second = await escalated_and_fired_again(fleet)
    await fleet.end(second, Resting(fleet.at + timedelta(seconds=5), "repairs are paused", "paused"), "w:2")
    with pytest.raises(Conflict):
        await fleet.store.retry(second, "ada")
    assert (await fleet.store.view(LONE)).cooling is not None


async def test_a_human_who_took_it_over_leaves_no_cool_down_behind(fleet: Fleet) -> None:
    first = await fleet.running("lone")
    await fleet.store.take_over(first, "ada", 30)
    await fleet.end(first, ended("escalated", "taken_over"))
    await fleet.store.close_incident(first, "ada")
    second = await fleet.running("lone", "w:2")
    assert isinstance(await fleet.start(second, "lone", "w:2"), Started)


async def test_a_plan_that_a_human_approved_does_not_wait_for_the_cool_down(fleet: Fleet) -> None:
    second = await escalated_and_fired_again(fleet)
    await fleet.end(second, fleet.asking(), "w:2")
    await fleet.store.decide(second, "approve", plan().plan_fingerprint, "ada")
    await fleet.begin(second, "w:3")
    assert isinstance(await fleet.start(second, "lone", "w:3", approval_needed=True), Started)
