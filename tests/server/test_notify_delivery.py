"""Each target is told once, in its own time, however the others fare; and what is too much comes as one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.records import Alert, AlertGroup, Policy
from graph.rules.classify import Placed, place
from server.metrics import Metrics
from tests.server.notified import BASE, chat, mailbox, worker
from tests.server.web import make_services, opened, running
from tests.server.world import RESOURCE, World, alert, plan


async def ended(world: World, status: Any = "escalated", resource_id: str = "inst-1") -> str:
    incident = await world.opened(alert(resource_id=resource_id))
    await world.begin(incident)
    assert await world.end(incident, world.finished(status))
    return incident


async def states(world: World) -> list[tuple[str, str, str, int]]:
    query = "SELECT target, event, state, count(*) FROM notifications GROUP BY target, event, state"
    counted = await world.store._db.read(lambda c: c.exec_driver_sql(query).all())
    return sorted((target, event, state, many) for target, event, state, many in counted)


async def test_chat_form_and_mailbox_are_told_title_story_and_link(world: World) -> None:
    with chat() as one, chat() as two, mailbox() as box:
        targets = [
            {"name": "chat", "url": one.url()},
            {"name": "form", "url": two.url("form")},
            {"name": "mail", "url": box.url},
        ]
        telling = worker(world.store, targets)
        await ended(world)
        assert await telling.drain() == 3
        assert await telling.drain() == 0
        [told], [form], [mail] = one.taken, two.forms, box.mails
    assert told["title"] == "Self-Heal: #1 needs a human: Instance/inst-1"
    assert told["message"].endswith(f"\n{BASE}/incidents/1") and form["message"] == [told["message"]]
    assert mail["subject"] == told["title"] and f"{BASE}/incidents/1" in mail.get_content()


async def test_an_ending_is_told_to_who_wants_it_and_to_who_was_told_before(world: World) -> None:
    with chat() as calls, chat() as endings, chat() as asked:
        telling = worker(
            world.store,
            [
                {"name": "calls", "url": calls.url(), "events": ["escalated"]},
                {"name": "endings", "url": endings.url(), "events": ["mitigated"]},
                {"name": "asked", "url": asked.url(), "events": ["approval_wanted"]},
            ],
        )
        incident = await world.opened()
        await world.begin(incident)
        await world.end(incident, world.asking())
        await telling.drain()
        record = await world.store.incident(incident)
        assert record is not None
        await world.store.decide(incident, "approve", record["waiting_for"]["asked_fingerprint"], "ann")
        await world.begin(incident)
        await world.end(incident, world.finished("mitigated"))
        await telling.drain()
        assert [len(each.titles) for each in (calls, endings, asked)] == [0, 1, 2]


@pytest.mark.parametrize("policy_says", [True, False])
async def test_an_opening_is_told_where_policy_says_so(tmp_path: Path, policy_says: bool) -> None:
    services = make_services(tmp_path)
    services.policies = (
        Policy(
            resource_kind="Instance",
            issue_type="service_down",
            auto_heal=True,
            max_retries=1,
            notify_opened=policy_says,
        ),
    )
    with chat() as there:
        telling = worker(services.store, [{"name": "a", "url": there.url(), "events": ["opened"]}])
        async with running(services) as client:
            await opened(client)
            await telling.drain()
        assert there.titles == (["Self-Heal: #1 opened: Instance/inst-abc123"] if policy_says else [])


async def test_a_dead_and_a_hanging_target_hold_up_nobody(world: World) -> None:
    with chat() as well, chat(0) as hangs, chat() as gone:
        dead = gone.url()
        targets = [
            {"name": "dead", "url": dead.replace(str(gone.port), "9")},
            {"name": "hangs", "url": hangs.url(), "timeout_seconds": 30},
            {"name": "well", "url": well.url()},
        ]
        telling = worker(world.store, targets)
        await ended(world)
        running_on = asyncio.create_task(telling.run())
        assert await well.has(1)
        await ended(world, resource_id="inst-2")
        assert await well.has(2)
        running_on.cancel()
        await asyncio.gather(running_on, return_exceptions=True)
    assert [title.split()[1] for title in well.titles] == ["#1", "#2"]


async def test_what_did_not_arrive_is_sent_after_a_restart(world: World) -> None:
    with chat(500, 200) as there:
        target = {"name": "a", "url": there.url()}
        await ended(world)
        assert await worker(world.store, [target]).drain() == 1
        await world.store.close()
        world.store = world.open()
        assert await worker(world.store, [target]).drain() == 0
        world.later(1.5)
        assert await worker(world.store, [target]).drain() == 1
        assert len(there.titles) == 1
    assert await states(world) == [("a", "escalated", "sent", 1)]


async def test_news_that_were_never_settled_are_told_after_a_restart(world: World) -> None:
    await ended(world)
    await world.store.close()
    world.store = world.open()
    with chat() as there:
        assert await worker(world.store, [{"name": "a", "url": there.url()}]).drain() == 1


async def test_after_a_failure_the_others_wait_a_moment_and_then_arrive_in_order(world: World) -> None:
    with chat(500, 200) as there:
        telling = worker(world.store, [{"name": "a", "url": there.url()}])
        await ended(world)
        await ended(world, resource_id="inst-2")
        assert await telling.drain() == 1
        assert await telling.drain() == 0
        world.later(2)
        assert await telling.drain() == 2
        assert ["#1" in title for title in there.titles] == [True, False]


async def test_what_nobody_took_for_days_is_given_up(world: World) -> None:
    with chat(500) as there:
        telling = worker(world.store, [{"name": "a", "url": there.url()}])
        await ended(world)
        for _ in range(90):
            await telling.drain()
            world.later(3601)
        assert await telling.drain() == 0
    assert await states(world) == [("a", "escalated", "gave_up", 1)]


async def test_the_same_plan_is_asked_about_once_and_another_one_again(world: World) -> None:
    with chat() as there:
        telling = worker(world.store, [{"name": "a", "url": there.url()}])
        incident = await world.opened()
        for asked in (plan(), plan(), plan("reboot")):
            await world.begin(incident)
            await world.end(incident, world.asking(asked, seconds=1))
            await telling.drain()
            world.later(2)
        assert len(there.titles) == 2


async def test_a_wanted_approval_that_was_answered_meanwhile_is_not_told(world: World) -> None:
    with chat(500, 200) as there:
        telling = worker(world.store, [{"name": "a", "url": there.url()}])
        incident = await world.opened()
        await world.begin(incident)
        await world.end(incident, world.asking())
        await telling.drain()
        record = await world.store.incident(incident)
        assert record is not None
        await world.store.decide(incident, "approve", record["waiting_for"]["asked_fingerprint"], "ann")
        world.later(60)
        assert await telling.drain() == 0
        assert there.titles == []
    assert ("a", "approval_wanted", "dropped", 1) in await states(world)


async def test_a_flapping_resource_is_told_once_and_once_more_when_the_window_is_over(world: World) -> None:
    with chat() as there:
        telling = worker(world.store, [{"name": "a", "url": there.url(), "events": ["mitigated"]}])
        for minute in range(5):
            incident = await world.opened(alert(starts_at=world.at))
            await world.begin(incident)
            await world.end(incident, world.finished("mitigated"))
            await world.post(alert(status="resolved"))
            await telling.drain()
            world.later(60 + minute)
        assert len(there.titles) == 1
        world.later(600)
        await telling.drain()
        assert len(there.titles) == 2 and "It repeated 3 more times meanwhile." in there.taken[1]["message"]
        await telling.drain()
        assert len(there.titles) == 2


def many(number: int) -> Any:
    resources = {("Instance", f"i-{n}"): RESOURCE.model_copy(update={"id": f"i-{n}"}) for n in range(number)}

    def placing(about: Alert) -> Placed:
        return place(about, {"Instance": INSTANCE}, resources)

    return placing


async def test_what_is_too_much_for_an_hour_comes_as_one_digest(world: World) -> None:
    with chat() as there:
        telling = worker(world.store, [{"name": "a", "url": there.url()}], max_per_hour=3)
        for n in range(10):
            [accepted] = await world.store.accept(AlertGroup(alerts=(alert(resource_id=f"i-{n}"),)), many(10))
            assert accepted.incident_id
            await world.begin(accepted.incident_id)
            await world.end(accepted.incident_id, world.finished("escalated"))
        await world.store.close_incident("4", "ann")
        await telling.drain()
        assert len(there.titles) == 3
        world.later(300)
        await telling.drain()
        assert len(there.titles) == 3
        world.later(301)
        await telling.drain()
        await telling.drain()
        assert there.titles[3:] == ["Self-Heal: 7 notices held back, 6 incidents wait for a human"]
        text = there.taken[3]["message"]
        assert "7 escalated" in text and "#5 Instance/i-4 (escalated)" in text and "#4 " not in text
        world.later(3600)
        await ended(world)
        await telling.drain()
        assert len(there.titles) == 5
    assert ("a", "escalated", "digested", 7) in await states(world)


async def test_a_digest_is_retried_like_anything_else(world: World) -> None:
    with chat(200, 500, 200) as there:
        telling = worker(world.store, [{"name": "a", "url": there.url()}], max_per_hour=1, digest_minutes=1)
        await ended(world)
        await ended(world, resource_id="inst-2")
        await telling.drain()
        world.later(61)
        await telling.drain()
        assert len(there.titles) == 1
        world.later(61)
        await telling.drain()
        assert there.titles[1].startswith("Self-Heal: 1 notices held back")


async def test_what_waits_for_a_target_that_is_configured_no_more_is_dropped(world: World) -> None:
    with chat(500) as there:
        await ended(world)
        await worker(world.store, [{"name": "old", "url": there.url()}]).drain()
        world.later(60)
        await ended(world, resource_id="inst-2")
        await worker(world.store, [{"name": "new", "url": there.url()}]).drain()
    assert ("old", "escalated", "dropped", 1) in await states(world)


async def test_only_its_kinds_and_groups_concern_a_target(world: World) -> None:
    with chat() as there:
        targets = [
            {"name": "db", "url": there.url(), "kinds": ["Database"]},
            {"name": "web", "url": there.url(), "groups": ["web"]},
            {"name": "all", "url": there.url(), "kinds": ["Instance"]},
        ]
        await ended(world)
        await worker(world.store, targets).drain()
    assert await states(world) == [("all", "escalated", "sent", 1)]


async def test_an_old_outbox_is_still_drained(sqlite_world: World) -> None:
    world = sqlite_world
    incident = await ended(world)
    row = "INSERT INTO outbox (payload, tries, next_at) SELECT json_remove(payload, '$.key'), 3, 0 FROM outbox"
    await world.store._db.write(lambda c: c.exec_driver_sql(row))
    with chat() as there:
        telling = worker(world.store, [{"name": "a", "url": there.url()}], fold_minutes=0)
        assert await telling.drain() == 2
        assert len(there.titles) == 2
    assert await world.store.incident(incident)


async def test_what_people_were_told_is_counted(world: World) -> None:
    with chat(500, 200) as there:
        telling = worker(world.store, [{"name": "a", "url": there.url()}])
        await ended(world)
        await telling.drain()
        assert 'selfheal_notifications_waiting{target="a"} 1.0' in await page(world)
        world.later(5)
        await telling.drain()
    text = await page(world)
    assert 'selfheal_notifications_total{event="escalated",result="sent",target="a"} 1.0' in text
    assert 'selfheal_notifications_total{event="escalated",result="failed",target="a"} 1.0' in text


async def page(world: World) -> str:
    return Metrics().page(await world.store.counts(), False).decode()
