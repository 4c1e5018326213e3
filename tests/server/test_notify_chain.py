"""A chain of people is called one after the other, until somebody has taken note or it is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from server import exits
from server.cli import run
from server.client import ServerClient
from server.notify_worker import NotifyWorker
from server.store import Conflict, NotFound, Who
from tests.server.live import LiveServer
from tests.server.notified import Chat, chat, worker
from tests.server.web import TOKENS, alert_body, end_leg, finished, make_services, opened, running
from tests.server.world import World, alert

CHAIN = [
    {"after_minutes": 0, "to": ["oncall"]},
    {"after_minutes": 15, "to": ["lead"]},
    {"after_minutes": 30, "to": ["oncall", "boss"]},
]


class People:
    """Three people in a chain, and one beside it."""

    def __init__(self, stack: ExitStack) -> None:
        self.chats: dict[str, Chat] = {name: stack.enter_context(chat()) for name in ("oncall", "lead", "boss", "log")}

    def worker(self, world: World) -> NotifyWorker:
        targets = [{"name": name, "url": there.url()} for name, there in self.chats.items()]
        return worker(world.store, targets, chain=CHAIN)

    @property
    def told(self) -> dict[str, int]:
        return {name: len(there.bodies) for name, there in self.chats.items() if there.bodies}


@pytest.fixture
def people() -> Iterator[People]:
    with ExitStack() as stack:
        yield People(stack)


async def escalated(world: World) -> str:
    incident = await world.opened()
    await world.begin(incident)
    await world.end(incident, world.finished("escalated"))
    return incident


async def waiting(world: World) -> str:
    incident = await world.opened()
    await world.begin(incident)
    await world.end(incident, world.asking())
    return incident


async def pass_time(world: World, telling: NotifyWorker, *minutes: float) -> None:
    for step in minutes:
        world.later(step * 60)
        await telling.drain()


async def test_nobody_taking_note_calls_the_next_in_their_time(world: World, people: People) -> None:
    telling = people.worker(world)
    incident = await escalated(world)
    await telling.drain()
    assert people.told == {"oncall": 1, "log": 1}
    await pass_time(world, telling, 14)
    assert people.told == {"oncall": 1, "log": 1}
    await pass_time(world, telling, 1.1)
    assert people.told == {"oncall": 1, "log": 1, "lead": 1}
    await pass_time(world, telling, 15, 15, 600)
    assert people.told == {"oncall": 2, "log": 1, "lead": 1, "boss": 1}
    assert "Nobody has taken note of this for 15 min." in people.chats["lead"].taken[0]["message"]
    record = await world.store.incident(incident)
    assert record is not None and record["acknowledged"] is None
    assert "nobody has taken note for 15 min: lead is told" in [item["sentence"] for item in record["timeline"]]


async def test_taking_note_stops_the_chain_and_is_on_record(world: World, people: People) -> None:
    telling = people.worker(world)
    incident = await escalated(world)
    await telling.drain()
    said = await world.store.acknowledge(incident, Who("ann", "token", "192.0.2.7"), "on it")
    await pass_time(world, telling, 16, 30)
    assert people.told == {"oncall": 1, "log": 1}
    record = await world.store.incident(incident)
    assert record is not None and record["acknowledged"]["by"] == "ann" and record["acknowledged"]["comment"] == "on it"
    assert "ann has taken note of #1: nobody else is called" in said
    assert record["timeline"][-1]["sentence"] == said and record["timeline"][-1]["author"] == "ann"
    [entry] = [item for item in record["audit"] if item["what"] == "acknowledge"]
    assert entry["who"] == "ann" and entry["detail"] == {"comment": "on it", "via": "token", "address": "192.0.2.7"}


async def test_a_chain_goes_on_after_a_restart_and_calls_who_was_due_meanwhile(world: World, people: People) -> None:
    await escalated(world)
    await people.worker(world).drain()
    await world.store.close()
    world.later(20 * 60)
    world.store = world.open()
    telling = people.worker(world)
    await telling.drain()
    assert people.told == {"oncall": 1, "log": 1, "lead": 1}
    await pass_time(world, telling, 11)
    assert people.told["boss"] == 1


async def test_an_acknowledgement_holds_after_a_restart(world: World, people: People) -> None:
    incident = await escalated(world)
    await people.worker(world).drain()
    await world.store.acknowledge(incident, "ann")
    await world.store.close()
    world.store = world.open()
    await pass_time(world, people.worker(world), 60)
    assert people.told == {"oncall": 1, "log": 1}


@pytest.mark.parametrize("verb", ["close", "retry", "take_over", "resolve"])
async def test_whatever_a_human_does_about_it_stops_the_chain(world: World, people: People, verb: str) -> None:
    telling = people.worker(world)
    incident = await escalated(world)
    await telling.drain()
    if verb == "close":
        await world.store.close_incident(incident, "ann")
    elif verb == "retry":
        await world.store.retry(incident, "ann")
    elif verb == "take_over":
        await world.store.take_over(incident, "ann", 600)
    else:
        await world.post(alert(status="resolved"))
    await pass_time(world, telling, 16, 30)
    assert "lead" not in people.told and people.told["oncall"] == 1


async def test_an_approval_nobody_answers_calls_the_chain_too(world: World, people: People) -> None:
    telling = people.worker(world)
    await waiting(world)
    await telling.drain()
    await pass_time(world, telling, 16)
    assert people.told == {"oncall": 1, "log": 1, "lead": 1}


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_decision_stops_the_chain_of_its_approval(world: World, people: People, decision: str) -> None:
    telling = people.worker(world)
    incident = await waiting(world)
    await telling.drain()
    record = await world.store.incident(incident)
    assert record is not None
    await world.store.decide(incident, decision, record["waiting_for"]["asked_fingerprint"], "ann")
    await pass_time(world, telling, 16, 30)
    assert people.told == {"oncall": 1, "log": 1}


async def test_a_wanted_approval_can_be_taken_note_of_and_still_be_decided(world: World, people: People) -> None:
    telling = people.worker(world)
    incident = await waiting(world)
    await telling.drain()
    await world.store.acknowledge(incident, "ann")
    await pass_time(world, telling, 16)
    record = await world.store.incident(incident)
    assert record is not None and record["acknowledged"]["by"] == "ann"
    await world.store.decide(incident, "approve", record["waiting_for"]["asked_fingerprint"], "ann")
    assert people.told == {"oncall": 1, "log": 1}


async def test_who_takes_note_while_a_link_could_not_be_told_spares_that_link(world: World, people: People) -> None:
    telling = people.worker(world)
    people.chats["lead"].statuses = [500, 200]
    incident = await escalated(world)
    await telling.drain()
    await pass_time(world, telling, 16)
    await world.store.acknowledge(incident, "ann")
    await pass_time(world, telling, 5)
    assert "lead" not in people.told


async def test_an_escalation_anew_is_another_call_that_nobody_has_taken_note_of(world: World, people: People) -> None:
    telling = people.worker(world)
    incident = await escalated(world)
    await telling.drain()
    await world.store.acknowledge(incident, "ann")
    world.later(3600)
    await world.store.retry(incident, "ann")
    await world.begin(incident)
    await world.end(incident, world.finished("escalated"))
    record = await world.store.incident(incident)
    assert record is not None and record["acknowledged"] is None
    await telling.drain()
    await pass_time(world, telling, 16)
    assert people.told == {"oncall": 2, "log": 2, "lead": 1}


async def test_who_is_called_first_is_told_even_of_what_closed_at_once(world: World, people: People) -> None:
    telling = people.worker(world)
    incident = await world.opened()
    await world.begin(incident)
    await world.post(alert(status="resolved"))
    await world.end(incident, world.finished("escalated"))
    assert await world.phase(incident) == "closed"
    await telling.drain()
    await pass_time(world, telling, 16)
    assert people.told == {"oncall": 1, "log": 1}


async def test_there_is_nothing_to_take_note_of_where_nobody_is_called(world: World) -> None:
    incident = await world.opened()
    with pytest.raises(Conflict, match="#1 is queued: nobody is being called"):
        await world.store.acknowledge(incident, "ann")
    with pytest.raises(NotFound):
        await world.store.acknowledge("12345", "ann")


async def test_a_second_one_taking_note_hears_who_was_first(world: World) -> None:
    incident = await escalated(world)
    await world.store.acknowledge(incident, "ann")
    assert "ann had at 2026-01-01" in await world.store.acknowledge(incident, "ben")


def test_taking_note_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = LiveServer(tmp_path)
    live.up()
    try:
        with ServerClient(f"http://127.0.0.1:{live.port}", TOKENS.operator) as client:
            incident = str(client.post_alerts(json.dumps(alert_body()).encode())["incidents"][0]["id"])
            live.do(end_leg(live.services, incident, finished("escalated")))
            assert run(["ack", "1", "-m", "on it", "--by", "ann", "--config", str(live.config)]) == exits.OK
            assert client.incident("1")["acknowledged"]["by"] == "ann"
    finally:
        live.down()
    assert "ann has taken note of #1: nobody else is called: on it" in capsys.readouterr().out


async def test_taking_note_over_http(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        incident = await opened(client)
        early = await client.post(f"/api/incidents/{incident}/acknowledge")
        assert early.status_code == 409 and "nobody is being called" in early.json()["error"]
        await end_leg(services, incident, finished("escalated"))
        answer = await client.post("/api/incidents/1/acknowledge", json={"by": "ann", "comment": "mine"})
        assert answer.status_code == 200 and answer.json()["id"] == incident, answer.text
        assert (await client.get("/api/incidents/1")).json()["acknowledged"]["comment"] == "mine"
        assert (await client.post("/api/incidents/99/acknowledge")).status_code == 404
