"""While we repair, the alerts are silenced in a real Alertmanager; when we don't, they ring."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from agents.legs import Resting
from graph.ports import Entry, TemporaryError
from graph.records import Alert, Policy
from server.metrics import Metrics
from server.silencing import Silencer, Silencing
from tests.evals.receiver import Receiver
from tests.server.world import World, alert, placing
from tests.tools.real_alertmanager import RealAlertmanager, running_alertmanager
from tools.clients.alertmanager import AlertmanagerClient
from tools.suppressions import OURS

AUTO = Policy(resource_kind="Instance", issue_type="service_down", auto_heal=True, max_retries=3)


@dataclass
class Stage:
    """A store, a real Alertmanager, and the silencer between them."""

    world: World
    real: RealAlertmanager
    receiver: Receiver
    conditions: dict[str, bool | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.at = datetime.now(UTC)
        self.client = AlertmanagerClient(self.real.url)
        self.metrics = Metrics()
        self.silencer = self.another()

    def another(self, url: str = "") -> Silencer:
        """One more process, so to say: same store, same Alertmanager."""
        how = Silencing(
            enabled=True,
            lasts=timedelta(minutes=10),
            policies=(AUTO,),
            dry_run=False,
            link=lambda number: f"http://selfheal.example/incidents/{number}",
            place=placing,
            condition=self._condition,
            now=lambda: self.world.at,
        )
        client = AlertmanagerClient(url) if url else self.client
        return Silencer(self.world.store, client, how, self.metrics)

    async def healing(self, *alerts: Alert) -> str:
        """An incident whose heal has begun."""
        given = alerts or (alert(),)
        for item in given:
            self.real.fires(dict(item.labels))
        incident_id = await self.world.opened(*given)
        await self.world.begin(incident_id)
        return incident_id

    async def gate(self, incident_id: str, decision: str) -> None:
        self.world.later(1)
        record = {"gate": {"decision": decision, "reason": ""}}
        entry = Entry(incident_id, f"gate-{self.world.at}", self.world.at, "gate", "self-heal", decision, record)
        await self.world.store.tell(entry)

    def ours(self, state: str = "active") -> list[dict[str, Any]]:
        return self.real.silences(OURS, state)

    async def sentences(self, incident_id: str) -> list[str]:
        return [entry["sentence"] for entry in await self.world.store.timeline(incident_id)]

    async def _condition(self, given: Alert) -> bool | None:
        return self.conditions.get(given.name, False)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture(scope="module")
def real(receiver: Receiver) -> Iterator[RealAlertmanager]:
    with running_alertmanager(receiver.url) as made:
        yield made


@pytest_asyncio.fixture
async def stage(world: World, real: RealAlertmanager, receiver: Receiver) -> AsyncIterator[Stage]:
    made = Stage(world, real, receiver)
    yield made
    await made.client.close()
    for item in made.ours():
        real.expire(item["id"])
    real.resolves(dict(alert().labels))


async def test_a_heal_under_way_has_its_alerts_silenced_with_a_link_and_a_mitigated_one_has_not(stage: Stage) -> None:
    incident_id = await stage.healing()
    await stage.silencer.reconcile()
    [silence] = stage.ours()
    assert f"incident #1 ({incident_id}): http://selfheal.example/incidents/1" in silence["comment"]
    assert {item["name"]: item["value"] for item in silence["matchers"]} == alert().labels
    assert stage.real.state_of("InstanceDown") == "suppressed"
    told = await stage.sentences(incident_id)
    assert told[-1].startswith("silenced 1 alert in Alertmanager until ")
    await stage.silencer.reconcile()
    assert await stage.sentences(incident_id) == told and len(stage.ours()) == 1
    await stage.world.end(incident_id, stage.world.finished("mitigated"))
    await stage.silencer.reconcile()
    assert stage.ours() == [] and await stage.world.store.silences.all() == []
    assert (await stage.sentences(incident_id))[-1] == "silence removed: its alerts ring again in Alertmanager"
    assert await stage.world.phase(incident_id) == "closed"


async def test_while_a_human_is_waited_for_the_pager_rings(stage: Stage) -> None:
    incident_id = await stage.healing()
    await stage.silencer.reconcile()
    assert len(stage.ours()) == 1
    await stage.gate(incident_id, "ask")
    await stage.world.end(incident_id, stage.world.asking())
    await stage.silencer.reconcile()
    assert stage.ours() == []


async def test_what_is_held_back_rings_and_what_may_run_after_it_does_not(stage: Stage) -> None:
    incident_id = await stage.healing()
    await stage.gate(incident_id, "hold")
    await stage.world.end(incident_id, Resting(stage.world.at, "repairs are paused"))
    await stage.silencer.reconcile()
    assert stage.ours() == []
    await stage.world.begin(incident_id)
    await stage.gate(incident_id, "run")
    await stage.silencer.reconcile()
    assert len(stage.ours()) == 1


async def test_what_waits_to_be_begun_rings(stage: Stage) -> None:
    stage.real.fires(dict(alert().labels))
    await stage.world.opened()
    await stage.silencer.reconcile()
    assert stage.ours() == []


async def test_an_alert_that_joins_is_silenced_too(stage: Stage) -> None:
    await stage.healing()
    await stage.silencer.reconcile()
    stage.real.fires(dict(alert("ServiceDown").labels))
    await stage.world.post(alert("ServiceDown"))
    await stage.silencer.reconcile()
    assert len(stage.ours()) == 2


async def test_a_silence_is_extended_as_long_as_the_heal_takes(stage: Stage) -> None:
    await stage.healing()
    await stage.silencer.reconcile()
    [before] = stage.ours()
    stage.world.later(6 * 60)
    await stage.silencer.reconcile()
    [after] = stage.ours()
    assert (after["id"], after["endsAt"] > before["endsAt"]) == (before["id"], True)


async def test_whoever_ends_our_silence_wants_to_hear_of_it(stage: Stage) -> None:
    incident_id = await stage.healing()
    await stage.silencer.reconcile()
    stage.real.expire(stage.ours()[0]["id"])
    stage.world.later(6 * 60)
    for _ in range(2):
        await stage.silencer.reconcile()
    assert stage.ours() == []
    assert any("not silenced again" in said for said in await stage.sentences(incident_id))
    await stage.world.end(incident_id, stage.world.finished("mitigated"))
    await stage.silencer.reconcile()
    assert await stage.world.store.silences.all() == []


async def test_what_a_crash_left_behind_is_ended_and_what_is_not_ours_is_left_alone(stage: Stage) -> None:
    incident_id = await stage.healing()
    about = f"self-heal is repairing incident #1 ({incident_id}): http://x"
    stage.real.silence(dict(alert().labels), OURS, about)
    another = stage.real.silence({"alertname": "Theirs"}, OURS, about.replace(incident_id, "of-another-self-heal"))
    by_hand = stage.real.silence({"alertname": "ByHand"}, "alice", about)
    await stage.world.end(incident_id, stage.world.finished("mitigated"))
    await stage.silencer.reconcile()
    assert [item["id"] for item in stage.ours()] == [another]
    assert [item["id"] for item in stage.real.silences("alice")] == [by_hand]
    stage.real.expire(by_hand)


async def test_after_a_restart_the_silence_is_still_known_and_ended(stage: Stage) -> None:
    incident_id = await stage.healing()
    await stage.silencer.reconcile()
    await stage.world.end(incident_id, stage.world.finished("mitigated"))
    await stage.another().reconcile()
    assert stage.ours() == []


async def test_a_server_that_leaves_lets_everything_ring(stage: Stage) -> None:
    await stage.healing()
    await stage.silencer.reconcile()
    await stage.silencer.release()
    assert stage.ours() == [] and stage.real.state_of("InstanceDown") == "active"


async def test_what_resolved_while_silenced_is_taken_in_as_alertmanager_tells_nothing_of_it(stage: Stage) -> None:
    incident_id = await stage.healing()
    await stage.silencer.reconcile()
    stage.real.resolves(dict(alert().labels))
    await stage.world.end(incident_id, stage.world.finished("escalated"))
    assert await stage.world.phase(incident_id) == "escalated"
    await stage.silencer.reconcile()
    assert await stage.world.phase(incident_id) == "closed"
    assert "all alerts resolved: #1 closes" in await stage.sentences(incident_id)


@pytest.mark.parametrize("said", [True, None])
async def test_what_alertmanager_has_only_forgotten_stays_open_unless_prometheus_says_it_is_over(
    stage: Stage, said: bool | None
) -> None:
    incident_id = await stage.healing()
    await stage.silencer.reconcile()
    stage.real.resolves(dict(alert().labels))
    stage.conditions["InstanceDown"] = said
    await stage.world.end(incident_id, stage.world.finished("escalated"))
    await stage.silencer.reconcile()
    assert await stage.world.phase(incident_id) == "escalated"


async def test_after_an_escalation_alertmanager_repeats_and_tells_people_of_the_end(stage: Stage) -> None:
    stage.receiver.posts.clear()
    stage.real.fires(dict(alert().labels))
    _, first = await asyncio.to_thread(stage.receiver.wait_for, "firing", "InstanceDown")
    incident_id = await stage.world.opened(Alert.model_validate(first))
    await stage.world.begin(incident_id)
    await stage.silencer.reconcile()
    await stage.world.end(incident_id, stage.world.finished("escalated"))
    await stage.silencer.reconcile()
    stage.receiver.posts.clear()
    _, repeated = await asyncio.to_thread(stage.receiver.wait_for, "firing", "InstanceDown")
    [joined] = await stage.world.post(Alert.model_validate(repeated))
    assert (joined.decision, joined.incident_id) == ("joined", incident_id)
    stage.real.resolves(dict(alert().labels))
    _, over = await asyncio.to_thread(stage.receiver.wait_for, "resolved", "InstanceDown")
    await stage.world.post(Alert.model_validate(over))
    assert await stage.world.phase(incident_id) == "closed"


async def test_people_hear_of_the_end_of_what_was_mitigated_as_prometheus_repeats_it(stage: Stage) -> None:
    incident_id = await stage.healing()
    stage.receiver.posts.clear()
    await asyncio.to_thread(stage.receiver.wait_for, "firing", "InstanceDown")
    await stage.silencer.reconcile()
    stage.real.resolves(dict(alert().labels))
    await asyncio.sleep(2.5)  # Two of its turns, in which it forgets what it may not tell.
    assert stage.receiver.posts[-1].body["status"] == "firing"
    await stage.world.end(incident_id, stage.world.finished("mitigated"))
    await stage.silencer.reconcile()
    stage.real.resolves(dict(alert().labels))  # Prometheus repeats this for a quarter of an hour.
    await asyncio.to_thread(stage.receiver.wait_for, "resolved", "InstanceDown")


async def test_an_alertmanager_that_is_away_fails_nothing_and_is_told_once(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.healing()
    away = stage.another("http://127.0.0.1:9")
    with caplog.at_level(logging.WARNING, "selfheal.silences"):
        for _ in range(2):
            assert not await away._tried(True)
    assert len(caplog.records) == 1 and "can't be reached" in caplog.text
    assert b"selfheal_silencing_failures_total 2.0" in stage.metrics.page(None, False)
    with pytest.raises(TemporaryError):
        await away.reconcile()


async def test_the_worker_puts_and_ends_silences_by_itself(stage: Stage) -> None:
    working = asyncio.create_task(stage.silencer.run())
    try:
        incident_id = await stage.healing()
        await _until(lambda: len(stage.ours()) == 1)
        await stage.world.end(incident_id, stage.world.finished("mitigated"))
        await _until(lambda: not stage.ours())
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if await asyncio.to_thread(holds):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came to hold")
