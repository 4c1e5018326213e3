"""Alertmanager and Self-Heal about one alert: who silences what, on the whole chain of real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from evals.lab.faults import fault
from evals.lab.healer import Healer
from evals.lab.probing import wait_until
from evals.lab.stage import Stage
from server import exits
from tests.acceptance.stages import ended, stage_up
from tests.acceptance.test_local_chain import World, held, quiet
from tests.tools.real_alertmanager import RealAlertmanager
from tools.suppressions import OURS

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Healer]]:
    with stage_up("local", tmp_path_factory.mktemp("silences"), repeat_interval="2s", group_interval="1s") as made:
        yield made


@pytest.fixture
def world(up: tuple[Stage, Healer]) -> Iterator[World]:
    stage, healer = up
    made = World(stage, healer)
    yield made
    fault("service_stopped").restore(stage, stage.hosts[0])
    quiet(stage)
    if healer.running:
        wait_until(lambda: held(healer), 30, "every incident of the host has let go", every=0.2)
    healer.stop()


def serve(world: World, silence: bool, **healing: float) -> RealAlertmanager:
    """The server, with its way back to the stage's Alertmanager."""
    healer, stage = world.healer, world.stage
    healer.configure(stage, **healing)
    section = {"alertmanager": {"url": stage.alertmanager_url, "silence": silence}}
    healer.config.write_text(healer.config.read_text() + yaml.safe_dump(section))
    healer.start()
    world.before = max((item["number"] for item in healer.incidents()), default=0)
    return RealAlertmanager(stage.alertmanager_url)


def seen(real: RealAlertmanager, by: str, state: str) -> list[dict[str, Any]]:
    found: list[list[dict[str, Any]]] = [[]]

    def missing() -> str | None:
        found[0] = real.silences(by, state)
        return None if found[0] else f"no silence by {by} is {state}"

    wait_until(missing, 30, f"a silence by {by} is {state}", every=0.1)
    return found[0]


def ended_as(world: World, number: int) -> dict[str, Any]:
    """This incident at its end. There may be another, of alerts that fired while the stage came up."""
    return world.until(lambda item: item["number"] == number and ended(item), seconds=90)


def test_while_it_heals_the_alert_is_silenced_with_a_link_and_then_it_is_not(world: World) -> None:
    real = serve(world, silence=True, soak_seconds=6)
    fault("service_stopped").inject(world.stage, world.host)
    [silence] = seen(real, OURS, "active")
    record = ended_as(world, int(silence["comment"].rpartition("/")[2]))
    assert f"{world.healer.url}/incidents/{record['number']}" in silence["comment"]
    names = {item["name"]: item["value"] for item in silence["matchers"]}
    assert names["resource_id"] == "inst-abc123" and names in [alert["labels"] for alert in record["alerts"]]
    assert (record["outcome"]["status"], record["phase"]) == ("mitigated", "closed")
    wait_until(lambda: "active" if real.silences(OURS) else None, 20, "our silence has ended", every=0.1)
    told = world.until(lambda item: any("silence removed" in entry["sentence"] for entry in item["timeline"]))
    assert any(entry["sentence"].startswith("silenced 1 alert") for entry in told["timeline"])


def test_what_somebody_has_silenced_waits_until_the_silence_is_gone(world: World) -> None:
    real = serve(world, silence=True)
    assert world.cli("pause", "--reason", "until alice has silenced it").returncode == exits.OK
    fault("service_stopped").inject(world.stage, world.host)
    paused = world.until(lambda item: "paused" in (item["wait_reason"] or ""))
    wait_until(lambda: "active" if real.silences(OURS) else None, 20, "what is held back rings", every=0.1)
    silence_id = real.silence({"resource_id": "inst-abc123"}, "alice", "maintenance")
    assert world.cli("resume").returncode == exits.OK
    waiting = world.until(lambda item: "silenced by alice" in (item["wait_reason"] or ""))
    assert waiting["number"] == paused["number"] and "'maintenance'" in waiting["wait_reason"]
    assert waiting["gate"]["rule"] == "silenced" and waiting["actions"] == []
    real.expire(silence_id)
    record = ended_as(world, waiting["number"])
    assert record["outcome"]["status"] == "mitigated" and world.stage.healthy(world.host)


def test_the_doctor_asks_alertmanager(world: World) -> None:
    serve(world, silence=True)
    done = world.cli("doctor", "--json")
    assert done.returncode == exits.OK, done.stdout + done.stderr
    [check] = [item for item in json.loads(done.stdout) if item["subject"] == "alertmanager"]
    assert check["status"] == "ok" and world.stage.alertmanager_url in check["found"]
