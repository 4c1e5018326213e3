"""What people ask of the store: taking over, confirming, pausing by scope, and what a wrong repair costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from graph.ports import Hold, Refusal, Started
from graph.records import ActionResult
from graph.rules.freezing import FreezeWindow
from server.store import Conflict, FleetRules, Telling, Who
from tests.server.world import RESOURCE, World, alert, plan

ADA = Who("ada", "token", "192.0.2.9")


async def record(world: World, incident_id: str) -> dict[str, Any]:
    found = await world.store.incident(incident_id)
    assert found is not None
    return found


async def escalated(world: World) -> str:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.finished("escalated"))
    return incident_id


async def acted(world: World, incident_id: str, key: str = "1:0", **more: Any) -> None:
    request = world.request(incident_id, idempotency_key=f"{incident_id}:{key}", **more)
    assert isinstance(await world.store.start(request), Started)
    result = ActionResult(
        idempotency_key=request.idempotency_key,
        action="restart_service",
        step=0,
        status="succeeded",
        finished_at=world.at,
    )
    await world.store.finish(result)


# -- taking over ---------------------------------------------------------------------------------------


async def test_who_takes_over_keeps_the_resource_and_nothing_of_ours_acts_on_it(world: World) -> None:
    incident_id = await escalated(world)
    said, until = await world.store.take_over(incident_id, ADA, 30, "on it")
    assert "ada's until 00:30 UTC: on it" in said and until == (world.at + timedelta(minutes=30)).isoformat()
    told = await record(world, incident_id)
    assert (told["phase"], told["taken_over"]["by"]) == ("taken_over", "ada")
    assert told["audit"][-1]["detail"]["address"] == "192.0.2.9"
    [again] = await world.post(alert("DiskFull"))
    assert again.incident_id == incident_id and again.decision == "joined"
    assert await world.store.runnable() == []


async def test_a_running_heal_is_stopped_before_its_next_side_effect(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.store.take_over(incident_id, "ada", 30)
    stop = await world.store.stop(incident_id)
    assert stop is not None and (stop.rule, stop.by) == ("taken_over", "ada")
    refused = await world.store.start(world.request(incident_id))
    assert isinstance(refused, Refusal) and refused.rule == "taken_over"
    await world.end(incident_id, world.finished("escalated"))
    assert await world.phase(incident_id) == "taken_over"
    assert await world.store.due_notices() == [], "who has it need not be called"


async def test_what_waits_for_a_decision_is_withdrawn_and_ends_as_taken_over(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.asking())
    await world.store.take_over(incident_id, "ada", 30)
    with pytest.raises(Conflict, match="taken over by ada"):
        await world.store.decide(incident_id, "approve", plan().plan_fingerprint, "bob")
    leg = await world.begin(incident_id, "w:2")
    assert leg.decision is None
    await world.end(incident_id, world.finished("escalated"), "w:2")
    assert await world.phase(incident_id) == "taken_over"


async def test_of_two_who_take_over_the_second_is_told_who_has_it(world: World) -> None:
    incident_id = await escalated(world)
    await world.store.take_over(incident_id, "ada", 30)
    with pytest.raises(Conflict, match="taken over by ada until"):
        await world.store.take_over(incident_id, "bob", 30)
    await world.store.take_over(incident_id, "ada", 60)
    assert (await record(world, incident_id))["taken_over"]["until"] == (world.at + timedelta(minutes=60)).isoformat()


async def test_when_the_time_is_up_it_is_escalated_again_and_people_are_told(world: World) -> None:
    incident_id = await escalated(world)
    await world.store.settle_notices(Telling())
    await world.store.take_over(incident_id, "ada", 30)
    world.later(29 * 60)
    await world.store.take_back()
    assert await world.phase(incident_id) == "taken_over"
    world.later(61)
    await world.store.take_back()
    assert await world.phase(incident_id) == "escalated"
    [notice] = await world.store.due_notices()
    assert "the time of ada" in notice.payload["reason"]


async def test_when_the_time_is_up_and_nothing_fires_it_is_closed(world: World) -> None:
    incident_id = await escalated(world)
    await world.store.take_over(incident_id, "ada", 30)
    await world.post(alert(status="resolved"))
    assert await world.phase(incident_id) == "taken_over", "it is still in ada's hands"
    world.later(31 * 60)
    await world.store.take_back()
    assert await world.phase(incident_id) == "closed"


async def test_giving_it_back_starts_the_heal_afresh(world: World) -> None:
    incident_id = await escalated(world)
    await world.store.take_over(incident_id, "ada", 30)
    await world.store.retry(incident_id, "ada")
    assert await world.phase(incident_id) == "queued"
    assert await world.store.stop(incident_id) is None


async def test_closing_it_lets_go_of_the_resource(world: World) -> None:
    incident_id = await escalated(world)
    await world.store.take_over(incident_id, "ada", 30)
    await world.store.close_incident(incident_id, "ada", "replaced the disk")
    told = await record(world, incident_id)
    assert (told["phase"], told["taken_over"]) == ("closed", None)
    [opened] = await world.post(alert("Other"))
    assert opened.decision == "opened"


async def test_what_is_closed_can_not_be_taken_over(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.finished("mitigated"))
    with pytest.raises(Conflict, match="is closed"):
        await world.store.take_over(incident_id, "ada", 30)


async def test_when_the_time_is_up_only_the_resource_itself_stays_held(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await acted(world, incident_id, touches=("Instance/inst-1", "cluster/orders"))
    await world.store.take_over(incident_id, "ada", 30)
    await world.end(incident_id, world.finished("escalated"))
    held = [item["target"] for item in (await world.store.fleet())["leases"]]
    assert held == ["Instance/inst-1", "cluster/orders"], "what ada works on is hers alone"
    world.later(31 * 60)
    await world.store.take_back()
    assert [item["target"] for item in (await world.store.fleet())["leases"]] == ["Instance/inst-1"]


async def test_what_another_incidents_repair_holds_is_not_taken_from_under_it(world: World) -> None:
    incident_id, other = await world.opened(), await world.opened(alert(resource_id="inst-2"))
    await world.begin(other)
    await acted(world, other, touches=("Instance/inst-2", "Instance/inst-1"))
    with pytest.raises(Conflict, match="held by a repair of #2"):
        await world.store.take_over(incident_id, "ada", 30)


# -- confirming, and the ladder --------------------------------------------------------------------------


async def test_what_was_true_is_said_once_it_is_over_and_kept_with_who_said_it(world: World) -> None:
    incident_id = await world.opened()
    with pytest.raises(Conflict, match="once its heal has ended"):
        await world.store.confirm(incident_id, ADA, "disk_full_logs", True)
    await world.begin(incident_id)
    await world.end(incident_id, world.finished("mitigated"))
    said = await world.store.confirm(incident_id, ADA, "service_killed", True, "somebody's script")
    assert said == "the cause was service_killed; the repair was right: somebody's script"
    [told] = (await record(world, incident_id))["confirmations"]
    assert (told["by"], told["cause"], told["right"]) == ("ada", "service_killed", True)


async def test_an_unasked_repair_found_wrong_makes_its_pair_ask_and_says_so(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await acted(world, incident_id)
    await world.end(incident_id, world.finished("mitigated"))
    assert (await world.store.view(RESOURCE)).demoted == {}
    await world.store.confirm(incident_id, ADA, "unknown", False)
    why = (await world.store.view(RESOURCE)).demoted
    assert why == {
        "service_down": "(Instance, service_down) was demoted to asking: ada found the repair of #1 to be wrong"
    }
    assert "from now on a human is asked" in (await record(world, incident_id))["timeline"][-1]["sentence"]
    assert [notice.payload["event"] for notice in await world.store.due_notices()] == ["mitigated", "demoted"]


async def test_an_unasked_repair_that_was_rolled_back_makes_its_pair_ask_once(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await acted(world, incident_id)
    await acted(world, incident_id, "1:undo-0", undo=True)
    await world.end(incident_id, world.finished("escalated"))
    assert "rolled back restart_service" in (await world.store.view(RESOURCE)).demoted["service_down"]
    assert await world.store.lift(ADA, "Instance", "service_down", "the action was mended")
    assert (await world.store.view(RESOURCE)).demoted == {}
    await world.store.confirm(incident_id, ADA, "unknown", False)
    assert (await world.store.view(RESOURCE)).demoted == {}, "what was known when it was lifted does not count again"
    assert not await world.store.lift(ADA, "Instance", "service_down")


async def test_a_repair_that_a_human_approved_demotes_nothing(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.asking())
    await world.store.decide(incident_id, "approve", plan().plan_fingerprint, ADA)
    await world.begin(incident_id, "w:2")
    await acted(world, incident_id, holder="w:2")
    await acted(world, incident_id, "1:undo-0", undo=True, holder="w:2")
    await world.end(incident_id, world.finished("escalated"), "w:2")
    assert (await world.store.view(RESOURCE)).demoted == {}


async def test_where_the_settings_say_so_nothing_is_demoted(world: World) -> None:
    world.store = world.open(FleetRules(demotes=False))
    incident_id = await world.opened()
    await world.begin(incident_id)
    await acted(world, incident_id)
    await acted(world, incident_id, "1:undo-0", undo=True)
    await world.end(incident_id, world.finished("escalated"))
    assert (await world.store.view(RESOURCE)).demoted == {}


async def test_the_record_that_the_ladder_is_judged_by_is_measured(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await acted(world, incident_id)
    await world.end(incident_id, world.finished("mitigated"))
    await world.store.confirm(incident_id, ADA, "service_killed", True)
    [sheet] = (await world.store.measured(world.at - timedelta(days=1)))["ended"]
    assert (sheet["status"], sheet["issue_types"], sheet["right"], sheet["acted"]) == (
        "mitigated",
        ["service_down"],
        True,
        True,
    )
    assert (await world.store.measured(world.at + timedelta(days=1)))["ended"] == []


# -- pauses and freezes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "holds"),
    [("all", True), ("kind:Instance", True), ("kind:Database", False), ("resource:Instance/inst-1", True)],
)
async def test_a_pause_holds_what_its_scope_covers_even_what_is_approved(world: World, scope: str, holds: bool) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.asking())
    await world.store.decide(incident_id, "approve", plan().plan_fingerprint, ADA)
    await world.begin(incident_id, "w:2")
    await world.store.pause(ADA, "migration", scope)
    begun = await world.store.start(world.request(incident_id, holder="w:2", approval_needed=True))
    assert isinstance(begun, Hold) is holds
    assert ((await world.store.view(RESOURCE)).paused is not None) is holds
    if holds:
        assert "by ada" in begun.reason and "migration" in begun.reason  # type: ignore[union-attr]


async def test_a_pause_with_an_end_is_over_by_itself(world: World) -> None:
    await world.store.pause(ADA, "deploy", "kind:Instance", world.at + timedelta(minutes=10))
    assert "until 2026-01-01 00:10 UTC" in str((await world.store.view(RESOURCE)).paused)
    world.later(601)
    assert (await world.store.view(RESOURCE)).paused is None
    assert await world.store.pauses() == []


async def test_each_scope_is_resumed_by_itself_and_all_is_audited(world: World) -> None:
    await world.store.pause(ADA, "a", "all")
    await world.store.pause(ADA, "b", "kind:Instance")
    assert await world.store.resume("bob", "all")
    assert [item["scope"] for item in await world.store.pauses()] == ["kind:Instance"]
    assert not await world.store.resume("bob", "kind:Database")
    entries, _ = await world.store.audit()
    assert [(entry["who"], entry["what"], entry["detail"]["scope"]) for entry in entries[-2:]] == [
        ("ada", "pause", "kind:Instance"),
        ("ada", "pause", "all"),
    ]


async def test_a_freeze_window_holds_at_once_what_was_approved_before(world: World) -> None:
    window = FreezeWindow(name="new year", starts="0 0 1 1 *", hours=6)
    world.store = world.open(FleetRules((window,)))
    incident_id = await world.opened()
    await world.begin(incident_id)
    begun = await world.store.start(world.request(incident_id))
    assert isinstance(begun, Hold) and begun.rule == "freeze_window" and begun.until == world.at + timedelta(hours=6)
    state = await world.store.fleet()
    assert state["freeze_windows"][0]["active"] and state["leases"][0]["target"] == "Instance/inst-1"
    world.later(6 * 3600)
    await world.store.renew([(incident_id, "w:1")], 15)
    assert isinstance(await world.store.start(world.request(incident_id)), Started)


async def test_what_was_done_too_often_shows_as_rate_limited(world: World) -> None:
    world.store = world.open(FleetRules(max_actions_per_hour=1))
    incident_id = await world.opened()
    await world.begin(incident_id)
    await acted(world, incident_id)
    [limited] = (await world.store.fleet())["rate_limited"]
    assert (limited["resource"], limited["actions"]) == ("Instance/inst-1", 1)
    assert limited["until"] == (world.at + timedelta(hours=1)).isoformat()


async def test_since_when_which_freeze_windows_were_in_force_is_in_the_log(world: World) -> None:
    await world.store.note_windows()
    assert (await world.store.audit())[0] == []
    window = FreezeWindow(name="nightly", starts="0 1 * * *", hours=2)
    for rules in (FleetRules((window,)), FleetRules((window,)), FleetRules()):
        store = world.open(rules)
        await store.note_windows()
        await store.close()
    entries, _ = await world.store.audit()
    assert [[item["name"] for item in entry["detail"]["windows"]] for entry in entries] == [[], ["nightly"]]


# -- the log -------------------------------------------------------------------------------------------


async def test_the_audit_log_is_read_page_by_page_and_by_who(world: World) -> None:
    for number in range(5):
        await world.store.pause(Who("ada" if number % 2 else "bob"), str(number))
    first, cursor = await world.store.audit(limit=2)
    rest, end = await world.store.audit(limit=9, cursor=cursor)
    assert [entry["detail"]["reason"] for entry in first + rest] == ["4", "3", "2", "1", "0"] and end is None
    entries, _ = await world.store.audit(who="ada")
    assert {entry["who"] for entry in entries} == {"ada"} and len(entries) == 2


async def test_a_decision_is_audited_with_what_it_was_about(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.asking())
    await world.store.decide(incident_id, "reject", plan().plan_fingerprint, ADA, "not now", then="replan")
    detail = (await record(world, incident_id))["audit"][-1]["detail"]
    assert detail == {
        "plan_fingerprint": plan().plan_fingerprint,
        "comment": "not now",
        "then": "replan",
        "via": "token",
        "address": "192.0.2.9",
    }
