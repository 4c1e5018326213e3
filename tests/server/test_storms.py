"""Storms as they are kept: one parent, repairs that wait, and that go on when it is over."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from rich.console import Console, RenderableType

from agents.database import DATABASE
from agents.instance import INSTANCE
from graph.ports import Hold, Started
from graph.records import Alert, AlertGroup
from server import exits
from server.cli import run
from server.services import Services
from server.settings import Settings
from server.store import Conflict, Store
from server.story import listing, story
from tests.server.live import LiveServer
from tests.server.notified import chat, worker
from tests.server.storms import DB, INVENTORY, RESOURCES, RULES, WEBS, Fleet, down, placing
from tests.server.web import TOKENS


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    await made.store.close()


async def test_six_of_nine_open_one_parent_that_names_what_they_share_and_all_members(fleet: Fleet) -> None:
    await fleet.fail(*WEBS[:6])
    [storm] = await fleet.storms()
    assert storm["reason"] == f"5 of 9 in group web fail since 00:00 UTC, all depend on {DB}"
    await fleet.store.storms.look()
    parent = await fleet.record(storm["number"])
    assert (parent["phase"], parent["outcome"]["rule"]) == ("escalated", "storm")
    assert parent["outcome"]["reason"].startswith("6 of 9 in group web")
    assert [item["resource"] for item in parent["storm"]["members"]] == [f"Instance/{name}" for name in WEBS[:6]]
    assert any(f"part of storm #{storm['number']}" in sentence for sentence in await fleet.told(1))
    page = await fleet.store.incidents()
    assert "Storm" in {item["resource_kind"] for item in page.items}


async def test_four_of_nine_are_no_storm(fleet: Fleet) -> None:
    await fleet.fail(*WEBS[:4])
    await fleet.store.storms.look()
    assert await fleet.storms() == [] and (await fleet.view("web-1")).storm is None


async def test_no_repair_of_a_member_begins_at_the_gate_or_at_the_journal(fleet: Fleet) -> None:
    first, *_ = await fleet.fail(*WEBS[:6])
    assert (await fleet.view("web-1")).storm.rule == "storm"
    await fleet.begin(first)
    request = fleet.request(first, touches=("Instance/web-1",))
    held = await fleet.store.start(request)
    assert isinstance(held, Hold) and held.rule == "storm" and "6 of 9" not in held.reason
    assert isinstance(await fleet.store.restart(request), Hold)


async def test_an_undo_and_what_is_not_part_of_it_are_not_held(fleet: Fleet) -> None:
    first, *_ = await fleet.fail(*WEBS[:6])
    await fleet.begin(first)
    assert isinstance(await fleet.store.start(fleet.request(first, touches=("Instance/web-1",), undo=True)), Started)
    [lone] = await fleet.fail("lone")
    await fleet.begin(lone)
    assert isinstance(await fleet.store.start(fleet.request(lone, touches=("Instance/lone",))), Started)


async def test_the_shared_dependency_is_repaired_while_its_dependents_wait(fleet: Fleet) -> None:
    db, *_ = await fleet.fail("db-1", *WEBS[:6])
    [storm] = await fleet.storms()
    assert storm["spared"] == [DB] and storm["reason"].endswith(f"all depend on {DB}, which fails too")
    await fleet.begin(db)
    assert isinstance(await fleet.store.start(fleet.request(db, touches=(DB,))), Started)


async def test_a_dependency_that_fails_later_is_named_then_and_nobody_is_called_again(fleet: Fleet) -> None:
    await fleet.fail(*WEBS[:6], "db-1")
    await fleet.store.storms.look()
    [storm] = await fleet.storms()
    assert storm["spared"] == [DB] and "which fails too" in storm["reason"]
    assert (await fleet.view("db-1")).storm is None
    escalated = [item for item in await fleet.store.due_notices() if item.payload["event"] == "escalated"]
    assert len(escalated) == 1


async def test_two_processes_that_see_it_at_once_open_one_parent(fleet: Fleet) -> None:
    other = fleet.open()
    for name in WEBS[:4]:
        await fleet.opened(down(name))
    await asyncio.gather(
        fleet.store.accept(AlertGroup(alerts=(down("web-5"),)), placing),
        other.accept(AlertGroup(alerts=(down("web-6"),)), placing),
        fleet.store.storms.look(),
        other.storms.look(),
    )
    await asyncio.gather(fleet.store.storms.look(), other.storms.look())
    [storm] = await fleet.storms()
    assert storm["members"] == 6
    assert (await other.view(RESOURCES[5])).storm is not None
    await other.close()


async def test_it_is_over_when_it_clears_and_what_waited_goes_on(fleet: Fleet) -> None:
    ids = await fleet.fail(*WEBS[:6])
    await fleet.waits(ids[0], "web-1")
    assert ids[0] not in [item.incident_id for item in await fleet.store.runnable()]
    await fleet.resolve("web-2", "web-3", "web-4")
    await fleet.store.storms.look()
    assert len(await fleet.storms()) == 1, "three still fail: not calm yet"
    await fleet.resolve("web-5")
    await fleet.store.storms.look()
    assert await fleet.storms() == []
    parent = next(item for item in (await fleet.store.incidents()).items if item["resource_kind"] == "Storm")
    assert (parent["phase"], parent["outcome"]["status"]) == ("closed", "self_resolved")
    assert parent["outcome"]["reason"] == (
        f"6 failed together since 00:00 UTC, all depend on {DB}; "
        f"it is over, and its members go on: 2 of 9 that depend on {DB} still fail"
    )
    assert ids[0] in [item.incident_id for item in await fleet.store.runnable()]
    assert any("is over (cleared)" in sentence for sentence in await fleet.told(ids[0]))
    await fleet.begin(ids[0], "w:2")
    assert isinstance(await fleet.store.start(fleet.request(ids[0], "w:2", touches=("Instance/web-1",))), Started)


async def test_a_human_may_release_it_and_it_does_not_come_back_for_the_same_failures(fleet: Fleet) -> None:
    ids = await fleet.fail(*WEBS[:6])
    await fleet.waits(ids[0], "web-1")
    [storm] = await fleet.storms()
    parent = (await fleet.record(storm["number"]))["id"]
    with pytest.raises(Conflict, match=f"part of storm #{storm['number']}"):
        await fleet.store.release(ids[0], "ada")
    said = await fleet.store.release(parent, "ada", "the switch was rebooted")
    assert said == f"storm #{storm['number']} is released: 6 incidents go on"
    await fleet.store.storms.look()
    assert await fleet.storms() == []
    assert ids[0] in [item.incident_id for item in await fleet.store.runnable()]
    record = await fleet.record(parent)
    assert record["phase"] == "closed" and "released by ada" in record["outcome"]["reason"]
    assert [entry["what"] for entry in record["audit"]] == ["release"]
    with pytest.raises(Conflict, match="was over"):
        await fleet.store.release(parent, "ada")


async def test_cancelling_it_stops_its_members_heals(fleet: Fleet) -> None:
    ids = await fleet.fail(*WEBS[:6])
    [storm] = await fleet.storms()
    said = await fleet.store.cancel((await fleet.record(storm["number"]))["id"], "ada")
    assert "the heals of 6 incidents stop" in said and await fleet.storms() == []
    await fleet.begin(ids[0])
    stop = await fleet.store.stop(ids[0])
    assert stop is not None and stop.rule == "cancelled"


async def test_it_is_neither_closed_nor_retried_nor_taken_over(fleet: Fleet) -> None:
    """Its members would wait for nothing that anybody sees."""
    await fleet.fail(*WEBS[:6])
    [storm] = await fleet.storms()
    parent = (await fleet.record(storm["number"]))["id"]
    with pytest.raises(Conflict, match="release it"):
        await fleet.store.close_incident(parent, "ada")
    with pytest.raises(Conflict, match="release it"):
        await fleet.store.retry(parent, "ada")
    with pytest.raises(Conflict, match="release it"):
        await fleet.store.take_over(parent, "ada", 10)
    assert "has taken note" in await fleet.store.acknowledge(parent, "ada")


async def test_no_alert_can_join_or_close_a_storm(fleet: Fleet) -> None:
    await fleet.fail(*WEBS[:6])
    labels = {"alertname": "X", "resource_kind": "Storm", "resource_id": f"dependency {DB}"}
    for status in ("firing", "resolved"):
        await fleet.post(Alert.model_validate({"status": status, "labels": labels}))
    [storm] = await fleet.storms()
    record = await fleet.record(storm["number"])
    assert record["phase"] == "escalated" and record["alerts"] == []


async def test_switched_off_there_is_none_and_what_there_was_ends(fleet: Fleet) -> None:
    await fleet.fail(*WEBS[:6])
    await fleet.store.close()
    fleet.rules = replace(RULES, storms=None)
    fleet.store = fleet.open()
    assert (await fleet.view("web-1")).storm is None
    await fleet.store.storms.look()
    assert await fleet.storms() == []


async def test_people_hear_of_the_storm_once_and_of_a_member_only_what_is_still_true_when_it_is_over(
    fleet: Fleet,
) -> None:
    ids = await fleet.fail(*WEBS[:6])
    for incident_id in ids[:3]:
        await fleet.begin(incident_id)
        await fleet.end(incident_id, fleet.finished("escalated"))
    with chat() as told:
        # Who listens to one group only is told of its storm too.
        sends = worker(fleet.store, [{"name": "ops", "url": told.url(), "groups": ["web"]}])
        await sends.drain()
        assert len(told.titles) == 1 and f"Storm/dependency {DB}" in told.titles[0]
        assert "#1 Instance/web-1" in told.taken[0]["message"] and "selfheal release" in told.taken[0]["message"]
        await fleet.resolve("web-2", "web-3", "web-4", "web-5", "web-6")
        await fleet.store.storms.look()
        await sends.drain()
    titles = sorted(title.split(" ", 2)[2] for title in told.titles[1:])
    assert titles == ["needs a human: Instance/web-1", f"resolved by itself: Storm/dependency {DB}"]


async def test_a_terminal_shows_the_storm_its_members_and_what_can_be_done(fleet: Fleet) -> None:
    _db, first, *_ = await fleet.fail("db-1", *WEBS[:6])
    [storm] = await fleet.storms()
    number = storm["number"]
    shown = printed(story(await fleet.record(number)))
    assert "escalated" in shown and "#2 Instance/web-1  queued" in shown and f"selfheal release {number}" in shown
    assert f"not held, as it may be the cure: {DB}" in shown and "selfheal close" not in shown
    await fleet.waits(first, "web-1")
    shown = printed(story(await fleet.record(first)))
    assert f"waiting: storm #{number}: " in shown and re.search(rf"Storm +#{number}", shown)
    assert f"Storm/dependency {DB}" in printed(listing((await fleet.store.incidents()).items))


def printed(shown: RenderableType) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(shown)
    return console.export_text()


def test_it_is_released_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Settings.model_validate({"database_url": f"sqlite:///{tmp_path / 'db'}", "resources": INVENTORY})
    store = Store.open(made.database_url, rules=made.fleet_rules)
    live = LiveServer(tmp_path, Services(made, store, TOKENS, {"Instance": INSTANCE, "Database": DATABASE}))
    live.up()
    try:
        live.do(store.accept(AlertGroup(alerts=tuple(down(name) for name in WEBS[:6])), placing))
        assert run(["fleet", "--config", str(live.config)]) == exits.OK
        assert "storm #7: 6 of 9 in group web" in capsys.readouterr().out
        assert run(["release", "1", "--config", str(live.config)]) == exits.REFUSED
        assert "release that" in capsys.readouterr().err
        assert run(["release", "7", "-m", "seen to", "--config", str(live.config)]) == exits.OK
        assert "storm #7 is released: 6 incidents go on" in capsys.readouterr().out
    finally:
        live.down()
