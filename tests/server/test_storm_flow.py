"""Storms, flapping and alerts that come in the middle, through the whole server: posted, held, told, repaired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.server.healing_app import HealingApp, healing_app

WEBS = tuple(f"web-{number}" for number in range(1, 10))


def declared(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": "Instance", "address": "127.0.0.1", "transport": "local", **more}


INVENTORY = [
    *(declared(name, group="web", services=["web"], depends_on=["Instance/db-1"]) for name in WEBS),
    declared("db-1", services=["web"]),
]


@pytest_asyncio.fixture
async def app(tmp_path: Path) -> AsyncIterator[HealingApp]:
    async with healing_app(tmp_path, INVENTORY) as made:
        yield made


async def test_six_of_nine_wait_as_one_while_what_they_depend_on_is_repaired_and_go_on_when_released(
    app: HealingApp,
) -> None:
    posted = await app.post(*WEBS[:6], "db-1")
    db = await app.until(posted[-1]["id"], "closed")
    assert db["outcome"]["status"] == "mitigated" and app.actions.ran_on == ["db-1"]

    [storm] = (await app.client.get("/api/fleet")).json()["storms"]
    number = storm["number"]
    assert storm["reason"].startswith("6 of 9 in group web fail since")
    assert "all depend on Instance/db-1" in storm["reason"]
    for item in posted[:6]:
        member = await app.until(item["id"], "waiting")
        assert member["wait_reason"].startswith(f"storm #{number}: 6 of 9 in group web")
        assert member["diagnosis"]["suspected_cause"] == "crashed" and member["plan"]["steps"]
        assert member["storm"]["number"] == number
    parent = await app.record(number)
    assert parent["phase"] == "escalated" and len(parent["storm"]["members"]) == 6
    escalated = [item.payload for item in await app.store.due_notices() if item.payload["event"] == "escalated"]
    assert [item["number"] for item in escalated] == [number]

    page = (await app.client.get(f"/incidents/{number}")).text
    assert 'href="/incidents/1"' in page and f'action="/incidents/{number}/release"' in page
    assert f'href="/incidents/{number}"' in (await app.client.get("/incidents/1")).text
    assert "6 repairs wait" in (await app.client.get("/incidents")).text
    assert "6 repairs wait" in (await app.client.get("/fleet")).text
    assert (await app.client.get(f"/incidents/{number}/plots")).status_code == 200

    answer = await app.client.post(f"/api/incidents/{number}/release", json={"by": "ada", "comment": "db is back"})
    assert answer.status_code == 200 and "6 incidents go on" in answer.json()["said"]
    for item in posted[:6]:
        assert (await app.until(item["id"], "closed"))["outcome"]["status"] == "mitigated"
    assert sorted(app.actions.ran_on) == ["db-1", *WEBS[:6]]
    record = await app.record(number)
    assert record["phase"] == "closed" and record["audit"][0]["what"] == "release"
    again = await app.client.post(f"/api/incidents/{number}/release")
    assert again.status_code == 409 and "was over" in again.json()["error"]


async def test_a_storm_whose_alerts_resolve_closes_by_itself_and_nothing_was_touched(app: HealingApp) -> None:
    posted = await app.post(*WEBS[:6])
    for item in posted:
        await app.until(item["id"], "waiting")
    [storm] = (await app.client.get("/api/fleet")).json()["storms"]
    await app.post(*WEBS[:6], status="resolved")
    parent = await app.until(storm["number"], "closed")
    assert parent["outcome"]["status"] == "self_resolved" and "it is over" in parent["outcome"]["reason"]
    for item in posted:
        assert (await app.until(item["id"], "closed"))["outcome"]["status"] == "self_resolved"
    assert app.actions.ran_on == []


async def test_what_flaps_is_held_down_longer_each_time_and_says_so(app: HealingApp) -> None:
    for _ in range(2):
        [posted] = await app.post("web-1")
        await app.until(posted["id"], "closed")
        assert posted["decision"] == "opened"
    assert app.actions.ran_on == ["web-1", "web-1"]
    for minutes in (2, 4):
        [posted] = await app.post("web-1")
        held = await app.until(posted["id"], "waiting")
        assert f"held down for {minutes} min until" in held["wait_reason"] and held["wake_at"] is not None
        assert any("flapping: in trouble" in entry["sentence"] for entry in held["timeline"])
        assert "flapping" in (await app.client.get("/incidents")).text
        await app.post("web-1", status="resolved")
        await app.until(posted["id"], "closed")
    assert app.actions.ran_on == ["web-1", "web-1"]


@pytest.mark.parametrize(
    ("shown", "said"), [(True, "Prometheus still shows ErrorsHigh"), (None, "came while it was being healed")]
)
async def test_an_alert_that_arrives_while_its_heal_runs_is_looked_at_again_when_the_heal_ends(
    app: HealingApp, shown: bool | None, said: str
) -> None:
    """Also where Prometheus can't be asked: nobody has seen that what came is over."""
    app.actions.running, app.shown = asyncio.Event(), shown
    [first] = await app.post("web-1")
    await app.actions.running.wait()
    [second] = await app.post("web-1", alertname="ErrorsHigh")
    assert (second["decision"], second["id"]) == ("joined", first["id"])
    app.actions.running = None
    app.actions.go_on.set()
    async with asyncio.timeout(20):
        while len(app.actions.ran_on) < 2:
            await app.client.get(f"/api/incidents/{first['id']}/events", params={"wait": 1, "seen": ""})
    told = [entry["sentence"] for entry in (await app.record(first["id"]))["timeline"]]
    assert any(sentence.startswith("reopened: ") and said in sentence for sentence in told), told


async def test_different_alert_names_on_one_resource_are_one_incident(app: HealingApp) -> None:
    names = ("ServiceDown", "ErrorsHigh", "ProbeTimeout", "DiskFull")
    answers = await asyncio.gather(*(app.post("web-1", alertname=name) for name in names))
    assert len({answer[0]["id"] for answer in answers}) == 1
    assert sorted(answer[0]["decision"] for answer in answers) == ["joined", "joined", "joined", "opened"]
    record = await app.record(answers[0][0]["id"])
    assert sorted(alert["labels"]["alertname"] for alert in record["alerts"]) == sorted(names)
