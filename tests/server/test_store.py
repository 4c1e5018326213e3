"""What is remembered: incidents, approvals and leases, told as stories on a real database."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select, text, update

from agents.legs import Resting
from graph.ports import Entry
from graph.records import Alert, AlertGroup, Attempt
from server.store import Conflict, Failed, NotFound, Overloaded
from server.store.schema import incidents
from tests.server.world import World, alert, placing, plan


async def test_an_accepted_alert_is_an_incident_that_may_run(world: World) -> None:
    [accepted] = await world.post(alert())
    assert (accepted.decision, accepted.number) == ("opened", 1)
    [runnable] = await world.store.runnable()
    assert (runnable.incident_id, runnable.leg, runnable.kind) == (accepted.incident_id, 1, "Instance")


async def test_two_hundred_posts_of_one_alert_at_once_are_one_incident_counted_two_hundred_times(world: World) -> None:
    await asyncio.gather(*(world.post(alert()) for _ in range(200)))
    page = await world.store.incidents()
    assert len(page.items) == 1
    record = await world.store.incident("1")
    assert record is not None and [item["count"] for item in record["alerts"]] == [200]


async def test_what_was_accepted_is_there_after_the_process_is_gone(world: World) -> None:
    incident_id = await world.opened()
    await world.store.close()
    world.store = world.open()
    assert [item.incident_id for item in await world.store.runnable()] == [incident_id]


async def test_an_alert_we_cannot_place_is_recorded_as_escalated_and_noticed(world: World) -> None:
    [accepted] = await world.post(Alert(status="firing", labels={"alertname": "Odd"}))
    assert accepted.incident_id is not None
    record = await world.store.incident(accepted.incident_id)
    assert record is not None and record["phase"] == "escalated"
    assert "resource_kind" in record["outcome"]["reason"]
    assert await world.store.runnable() == []
    [notice] = await world.store.due_notices()
    assert notice.payload["event"] == "escalated"


async def test_too_much_waiting_is_refused_before_anything_is_taken_on(world: World) -> None:
    await world.post(alert())
    with pytest.raises(Overloaded):
        await world.store.accept(AlertGroup(alerts=(alert(resource_id="inst-2"),)), placing, max_queued=1)
    assert len((await world.store.incidents()).items) == 1


async def test_a_leg_is_begun_once(world: World) -> None:
    incident_id = await world.opened()
    assert await world.store.begin_leg(incident_id, 1, "a:1", 15) is not None
    assert await world.store.begin_leg(incident_id, 1, "b:1", 15) is None
    assert await world.store.runnable() == []


async def test_a_leg_whose_lease_ran_out_is_taken_over_and_its_old_holder_writes_nothing(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id, "a:1")
    world.later(16)
    assert await world.store.take_back() == 1
    await world.begin(incident_id, "b:2")
    assert not await world.store.renew([(incident_id, "a:1")], 15)
    assert not await world.store.end_leg(incident_id, 1, "a:1", world.finished("mitigated"))
    assert await world.phase(incident_id) == "running"


async def test_a_renewed_lease_is_not_taken_over(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    world.later(10)
    assert await world.store.renew([(incident_id, "w:1")], 15)
    world.later(10)
    assert await world.store.take_back() == 0


async def test_after_a_restart_what_ran_is_runnable_at_once_under_a_new_leg(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    assert await world.store.start_over() == 1
    [runnable] = await world.store.runnable()
    assert runnable.leg == 2


async def test_a_rest_is_over_when_its_time_has_come(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, Resting(world.at + timedelta(seconds=60), "soaking"))
    assert await world.store.runnable() == []
    assert await world.store.next_wake() == world.at + timedelta(seconds=60)
    world.later(61)
    assert len(await world.store.runnable()) == 1


async def test_mitigated_lets_go_and_the_next_firing_is_a_new_incident(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.finished("mitigated"))
    assert await world.phase(incident_id) == "closed"
    [again] = await world.post(alert())
    assert (again.decision, again.number) == ("opened", 2)


@pytest.mark.parametrize("status", ["escalated", "declined"])
async def test_escalated_and_declined_keep_the_resource_until_all_alerts_resolve(world: World, status: str) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.finished(status))  # type: ignore[arg-type]
    for _ in range(3):
        [repeat] = await world.post(alert())
        assert (repeat.decision, repeat.incident_id) == ("joined", incident_id)
    assert await world.store.runnable() == []
    await world.post(alert(status="resolved"))
    assert await world.phase(incident_id) == "closed"


async def test_a_human_may_close_or_retry_what_was_escalated(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.finished("escalated"))
    await world.store.retry(incident_id, "ada")
    leg = await world.begin(incident_id, "w:2")
    assert leg.fresh
    await world.end(incident_id, world.finished("escalated"), "w:2")
    await world.store.close_incident(incident_id, "ada", "done by hand")
    assert await world.phase(incident_id) == "closed"
    with pytest.raises(Conflict, match="closed"):
        await world.store.retry(incident_id, "ada")


async def test_a_retry_by_a_human_forgives_the_attempts_but_remembers_them(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    attempt = Attempt(
        number=1,
        suspected_cause="process_crashed",
        plan_fingerprint="x",
        actions=("restart_service",),
        acted=True,
        why_ended="still down",
        ended_at=world.at,
    )
    records = {"attempts": [attempt.model_dump(mode="json")]}
    await world.store.tell(Entry(incident_id, "retry-1", world.at, "retry", "self-heal", "ended", records))
    await world.end(incident_id, world.finished("escalated"))
    await world.store.retry(incident_id, "ada")
    [remembered] = (await world.begin(incident_id, "w:2")).attempts
    assert remembered.forgiven and remembered.why_ended == "still down"


async def test_all_alerts_resolved_while_waiting_wakes_the_heal_to_be_told(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.asking())
    await world.post(alert(status="resolved"))
    assert len(await world.store.runnable()) == 1
    stop = await world.store.stop(incident_id)
    assert stop is not None and stop.rule == "alerts_resolved"


async def test_an_alert_that_fires_again_before_the_heal_noticed_takes_the_withdrawal_back(world: World) -> None:
    incident_id = await world.opened()
    await world.post(alert(status="resolved"))
    await world.post(alert())
    assert await world.store.stop(incident_id) is None


async def test_a_known_firing_of_a_mitigated_incident_reopens_only_if_prometheus_still_shows_it(world: World) -> None:
    began = world.at
    incident_id = await world.opened(alert(starts_at=began))
    await world.begin(incident_id)
    await world.end(incident_id, world.finished("mitigated"))
    [repeat] = await world.post(alert(starts_at=began))
    assert repeat.decision == "ignored"
    [asked] = await world.store.to_recheck()
    assert asked.id == incident_id
    await world.store.rechecked(incident_id, False, "gone")
    assert await world.store.to_recheck() == [] and await world.store.runnable() == []
    await world.post(alert(starts_at=began))
    await world.store.rechecked(incident_id, True, "still there")
    assert (await world.begin(incident_id, "w:9")).fresh


async def test_a_new_alert_that_came_after_verification_is_looked_at_again(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    verified = world.at
    world.later(1)
    await world.post(alert("ServiceDown"))
    await world.end(incident_id, world.finished("mitigated", verified))
    assert [item.id for item in await world.store.to_recheck()] == [incident_id]


async def test_an_error_of_ours_is_tried_again_with_growing_pauses_then_escalated(world: World) -> None:
    incident_id = await world.opened()
    for expected in ("waiting", "waiting", "waiting", "escalated"):
        holder = f"w:{await world.leg_of(incident_id)}"
        await world.begin(incident_id, holder)
        await world.end(incident_id, Failed("KeyError: 'x'"), holder)
        assert await world.phase(incident_id) == expected
        world.later(5)
    record = await world.store.incident(incident_id)
    assert record is not None and "KeyError" in record["outcome"]["reason"]


# -- decisions -------------------------------------------------------------------------------------------


async def asked(world: World) -> str:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.asking())
    return incident_id


async def test_an_approval_resumes_with_the_answer(world: World) -> None:
    incident_id = await asked(world)
    await world.store.decide(incident_id, "approve", plan().plan_fingerprint, "ada", "go")
    leg = await world.begin(incident_id, "w:2")
    assert leg.decision is not None
    assert leg.decision["decisions"] == [{"type": "approve", "message": "go"}]
    assert leg.decision["by"] == "ada"


async def test_of_two_operators_one_wins_and_the_other_learns_who(world: World) -> None:
    incident_id = await asked(world)
    fingerprint = plan().plan_fingerprint
    answers = await asyncio.gather(
        world.store.decide(incident_id, "approve", fingerprint, "ada"),
        world.store.decide(incident_id, "reject", fingerprint, "bob"),
        return_exceptions=True,
    )
    [conflict] = [answer for answer in answers if answer is not None]
    assert isinstance(conflict, Conflict) and "already decided" in str(conflict)


async def test_a_decision_on_a_changed_plan_is_refused(world: World) -> None:
    incident_id = await asked(world)
    with pytest.raises(Conflict, match="look at it again"):
        await world.store.decide(incident_id, "approve", "feedfacefeedface", "ada")


async def test_a_decision_on_what_does_not_wait_is_refused(world: World) -> None:
    incident_id = await world.opened()
    with pytest.raises(Conflict, match="not waiting"):
        await world.store.decide(incident_id, "approve", "x", "ada")
    with pytest.raises(NotFound):
        await world.store.decide("999", "approve", "x", "ada")


async def test_an_approval_nobody_gives_expires(world: World) -> None:
    incident_id = await asked(world)
    world.later(3601)
    with pytest.raises(Conflict, match="expired"):
        await world.store.decide(incident_id, "approve", plan().plan_fingerprint, "ada")
    leg = await world.begin(incident_id, "w:2")
    assert leg.decision is not None and leg.decision["decisions"][0]["type"] == "expire"


async def test_asking_for_approval_is_noticed_with_the_exact_commands(world: World) -> None:
    await asked(world)
    [notice] = await world.store.due_notices()
    assert (notice.payload["event"], notice.payload["steps"]) == ("approval_wanted", ["restart_service"])


async def test_a_cancel_wakes_a_resting_heal_and_says_that_nothing_is_under_way(world: World) -> None:
    incident_id = await asked(world)
    said = await world.store.cancel(incident_id, "ada")
    assert "no side effect is under way" in said
    stop = await world.store.stop(incident_id)
    assert stop is not None and (stop.rule, stop.by) == ("cancelled", "ada")
    assert len(await world.store.runnable()) == 1


async def test_a_cancel_during_a_side_effect_says_what_cannot_be_stopped(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.store.start(world.request(incident_id))
    said = await world.store.cancel(incident_id, "ada")
    assert "restart_service (systemctl restart web) is under way" in said and "can't be stopped" in said


# -- lists, and the database itself ------------------------------------------------------------------------


async def test_a_list_is_newest_first_and_pages(world: World) -> None:
    for index in range(5):
        await world.post(Alert(status="firing", labels={"alertname": f"A{index}"}))
    first = await world.store.incidents(limit=2)
    second = await world.store.incidents(limit=2, cursor=first.next_cursor)
    assert [item["number"] for item in (*first.items, *second.items)] == [5, 4, 3, 2]
    assert [item["number"] for item in (await world.store.incidents(status="escalated")).items] == [5, 4, 3, 2, 1]
    assert (await world.store.incidents(resource="Instance/none")).items == []


async def test_telling_the_same_thing_twice_tells_it_once(world: World) -> None:
    incident_id = await world.opened()
    for sentence in ("first", "second"):
        await world.store.tell(Entry(incident_id, "k", world.at, "verify", "self-heal", sentence, {}))
    told = [entry["sentence"] for entry in await world.store.timeline(incident_id) if entry["key"] == "k"]
    assert told == ["second"]


async def test_a_failing_write_keeps_nothing_of_itself_and_harms_no_other(world: World) -> None:
    bad = world.store.decide("999", "approve", "x", "ada")
    results = await asyncio.gather(bad, world.post(alert()), return_exceptions=True)
    assert isinstance(results[0], NotFound) and not isinstance(results[1], BaseException)


async def test_reads_that_broke_off_have_nobody_see_the_database_as_it_was_then(world: World) -> None:
    for name in ("inst-1", "inst-2"):
        await world.opened(alert(resource_id=name))

    def breaks_off(connection: Connection) -> None:
        rows = iter(connection.execute(select(incidents.c.id)))
        next(rows)
        raise ValueError("half read")

    kept: list[BaseException] = []
    for ask in (world.store._db.read, world.store._db.write) * 4:
        with pytest.raises(ValueError, match="half read") as told:
            await ask(breaks_off)
        kept.append(told.value)  # and with it, by its traceback, the query
    await world.post(alert(resource_id="later"))
    for _ in range(6):
        assert len(await world.store._db.read(lambda c: c.execute(select(incidents.c.id)).all())) == 3


@pytest.mark.parametrize("odd", ["half a pair: \ud800", 2**70, 1.5, {"1": None}])
async def test_json_that_is_out_of_the_ordinary_is_read_as_it_was_written(sqlite_world: World, odd: object) -> None:
    incident_id = await sqlite_world.opened()
    mine = incidents.c.id == incident_id
    await sqlite_world.store._db.write(lambda c: c.execute(update(incidents).where(mine).values(attempts=[odd])))
    assert await sqlite_world.store._db.read(lambda c: c.execute(select(incidents.c.attempts)).scalar()) == [odd]


async def test_what_an_earlier_release_wrote_is_read_though_it_is_no_strict_json(sqlite_world: World) -> None:
    await sqlite_world.opened()
    old = json.dumps([math.nan, "\udfff"])
    await sqlite_world.store._db.write(lambda c: c.execute(text("UPDATE incidents SET attempts = :old"), {"old": old}))
    [number, half] = await sqlite_world.store._db.read(lambda c: c.execute(select(incidents.c.attempts)).scalar_one())
    assert math.isnan(number) and half == "\udfff"
