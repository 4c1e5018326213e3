"""The whole chain on plain processes: Prometheus, Alertmanager, webhook, graph, SSH, supervisord; all real."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from evals.lab.faults import fault
from evals.lab.healer import ROOT, Healer
from evals.lab.probing import wait_until
from evals.lab.stage import Stage
from evals.openai_server import answer, serving
from server import exits
from tests.acceptance.stages import ended, nodes, stage_up

pytestmark = pytest.mark.acceptance
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)

ASK = ({"resource_kind": "Instance", "issue_type": "service_down", "auto_heal": False, "max_retries": 3},)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Healer]]:
    # repeats every few seconds, so that what they must not start has time not to start
    with stage_up("local", tmp_path_factory.mktemp("chain"), repeat_interval="2s", group_interval="1s") as made:
        yield made


class World:
    """One test's turn on the stage: a server with its policies, and incidents counted from here."""

    def __init__(self, stage: Stage, healer: Healer) -> None:
        self.stage, self.healer, self.host = stage, healer, stage.hosts[0]
        self.before = 0

    def serve(self, policies: Any = None, **more: Any) -> None:
        self.healer.configure(self.stage, **({"policies": policies} if policies is not None else {}), **more)
        self.healer.start()
        self.before = max((item["number"] for item in self.healer.incidents()), default=0)

    def until(self, holds: Any, seconds: float = 60) -> dict[str, Any]:
        return self.healer.wait_incident(holds, seconds, after=self.before)

    def cli(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "server.cli", "--config", str(self.healer.config), *arguments],
            capture_output=True, text=True, timeout=120, input=stdin, cwd=self.healer.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip


@pytest.fixture
def world(up: tuple[Stage, Healer]) -> Iterator[World]:
    stage, healer = up
    made = World(stage, healer)
    yield made
    for name in ("bad_config", "service_killed"):
        fault(name).restore(stage, stage.hosts[0])
    quiet(stage)
    if healer.running:
        # an incident that keeps its resource would keep it from the next test: Alertmanager's resolved lets it go
        wait_until(lambda: held(healer), 30, "every incident of the host has let go", every=0.2)
    healer.stop()


def held(healer: Healer) -> str | None:
    """The incidents that still hold the stage's host."""
    open_ones = [item for item in healer.incidents() if item["phase"] != "closed"]
    return ", ".join(f"#{item['number']}" for item in open_ones if item["resource_id"] == "inst-abc123") or None


def quiet(stage: Stage) -> None:
    """Until Prometheus shows no alert any more: the next test's alert must be its own."""
    from evals.lab.probing import ask

    def firing() -> str | None:
        alerts = json.loads(ask(f"{stage.prometheus_url}/api/v1/alerts")[1])["data"]["alerts"]
        return str(alerts) if alerts else None

    wait_until(firing, 30, "no alert is firing", every=0.2)


def test_a_killed_service_is_restarted_verified_and_told_with_all_its_times(world: World) -> None:
    world.serve()
    fault("service_killed").inject(world.stage, world.host)
    record = world.until(ended)
    assert record["outcome"]["status"] == "mitigated"
    assert record["diagnosis"]["suspected_cause"] == "process_crashed"
    assert nodes(record) == ["gather_context", "diagnose", "plan", "gate", "execute", "verify", "close"]
    assert all(record["times"][name] for name in ("received", "diagnosed", "first_action", "verified", "closed"))
    [action] = record["actions"]
    assert action["status"] == "succeeded" and action["rendered"].endswith("restart shopd")
    checks = {item["name"]: item["status"] for item in record["verification"]["criteria"]}
    assert checks["alert ServiceDown"] == "pass" and len(checks) == 3
    assert world.stage.healthy(world.host)
    assert len(json.dumps(record["evidence"])) < 16 * 1024


def test_a_bad_configuration_escalates_with_its_line_and_repeats_start_nothing(world: World) -> None:
    world.serve()
    fault("bad_config").inject(world.stage, world.host)
    record = world.until(ended)
    assert (record["phase"], record["outcome"]["status"]) == ("escalated", "escalated")
    assert record["diagnosis"]["suspected_cause"] == "bad_configuration"
    assert "shopd.json line 3" in record["diagnosis"]["summary"]
    assert record["actions"] == []
    repeats = record["alerts"][0]["count"] + 3
    again = world.until(lambda item: item["alerts"][0]["count"] >= repeats)
    assert (again["number"], again["phase"]) == (record["number"], "escalated")
    assert diagnoses(again) == diagnoses(record)
    fault("bad_config").restore(world.stage, world.host)
    closed = world.until(lambda item: item["phase"] == "closed")
    assert closed["number"] == record["number"]


def diagnoses(record: dict[str, Any]) -> int:
    return sum(item["node"] == "diagnose" for item in record["timeline"])


def test_without_auto_heal_the_plan_waits_until_the_command_line_approves_it(world: World) -> None:
    world.serve(ASK)
    fault("service_stopped").inject(world.stage, world.host)
    waiting = world.until(lambda item: item["phase"] == "waiting_approval")
    assert not world.stage.healthy(world.host)
    number = str(waiting["number"])
    shown = world.cli("incidents", "show", number)
    assert "start shopd" in shown.stdout.replace("\n", " ") and shown.returncode == exits.OK
    assert world.cli("approve", number, "--yes", "--comment", "go ahead").returncode == exits.OK
    record = world.until(ended)
    assert record["outcome"]["status"] == "mitigated"
    assert record["approvals"][0]["comment"] == "go ahead"
    late = world.cli("approve", number, "--yes")
    assert late.returncode == exits.REFUSED
    assert world.stage.healthy(world.host)


def test_a_rejected_plan_leaves_the_world_alone(world: World) -> None:
    world.serve(ASK)
    fault("service_stopped").inject(world.stage, world.host)
    waiting = world.until(lambda item: item["phase"] == "waiting_approval")
    assert world.cli("reject", str(waiting["number"]), "--comment", "we mean it").returncode == exits.OK
    record = world.until(ended)
    assert record["outcome"]["status"] == "declined" and "we mean it" in record["outcome"]["reason"]
    assert record["actions"] == [] and not world.stage.healthy(world.host)


def test_what_gets_well_while_it_waits_closes_as_self_resolved(world: World) -> None:
    world.serve(ASK)
    fault("service_stopped").inject(world.stage, world.host)
    world.until(lambda item: item["phase"] == "waiting_approval")
    fault("service_stopped").restore(world.stage, world.host)
    record = world.until(ended)
    assert record["outcome"]["status"] == "self_resolved"
    assert record["actions"] == []


def test_a_restart_of_the_server_keeps_what_waits(world: World) -> None:
    world.serve(ASK)
    fault("service_stopped").inject(world.stage, world.host)
    waiting = world.until(lambda item: item["phase"] == "waiting_approval")
    world.healer.stop()
    world.healer.start()
    assert world.cli("approve", str(waiting["number"]), "--yes").returncode == exits.OK
    assert world.until(ended)["outcome"]["status"] == "mitigated"


def test_kill_9_in_the_middle_of_execute_loses_nothing_and_does_nothing_twice(world: World) -> None:
    world.serve()
    starts = spawned(world)
    fault("service_stopped").inject(world.stage, world.host)
    record = world.until(lambda item: bool(item["actions"]))
    assert record["actions"][0]["status"] == "started"
    world.healer.kill()
    world.healer.start()
    record = world.until(ended)
    assert record["outcome"]["status"] == "mitigated"
    [action] = record["actions"]
    assert action["status"] == "succeeded" and action["proven_by_probe"]
    assert spawned(world) == starts + 1
    assert world.stage.healthy(world.host)


def spawned(world: World) -> int:
    """How often the service was started, by its manager's own log."""
    log = world.stage.run(world.host, "supervisorctl maintail -1000000 | grep -c \"spawned: 'shopd'\" || true")
    return int(log.stdout)


@contextmanager
def hung_hosts(count: int) -> Iterator[list[int]]:
    """Ports where connections are taken and nothing is ever said: what a hung host looks like."""
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(count)]
    try:
        yield [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


@pytest.mark.parametrize("by", ["policy", "setting"])
def test_a_dry_run_touches_nothing_asks_nobody_and_says_what_it_would_have_done(world: World, by: str) -> None:
    auto = {**ASK[0], "auto_heal": True}
    world.serve(
        (auto | {"dry_run": True},) if by == "policy" else (auto,), **({} if by == "policy" else {"dry_run": 1})
    )
    fault("service_stopped").inject(world.stage, world.host)
    record = world.until(ended)
    assert (record["outcome"]["status"], record["outcome"]["rule"]) == ("declined", "dry_run")
    assert "would run" in record["outcome"]["reason"] and "start shopd" in record["outcome"]["reason"]
    assert record["actions"] == [] and record["approvals"] == []
    assert {command["purpose"] for command in record["commands"]} == {"evidence"}
    assert not world.stage.healthy(world.host)


def test_eight_hung_hosts_do_not_keep_the_ninth_from_being_healed(world: World) -> None:
    [resource] = world.stage.resources()
    if "ssh" not in resource:
        pytest.skip("no sshd here: nothing can hang at its greeting")
    with hung_hosts(8) as ports:
        hung = [
            # each of a group of its own: together they would be a storm, in which nobody is healed
            {
                **resource,
                "id": f"inst-hung{port}",
                "group": f"of-{port}",
                "ssh": {**resource["ssh"], "port": port},
                "health": [],
            }
            for port in ports
        ]
        world.serve(more_resources=hung)
        labels = {"alertname": "InstanceDown", "resource_kind": "Instance"}
        alerts = [{"status": "firing", "labels": {**labels, "resource_id": item["id"]}} for item in hung]
        with world.healer.client() as client:
            assert client.post_alerts(json.dumps({"alerts": alerts}).encode())["received"] == 8
        fault("service_stopped").inject(world.stage, world.host)
        ninth = world.until(lambda item: item["resource_id"] == "inst-abc123" and ended(item))
        lost = [world.until(lambda item, name=item["id"]: item["resource_id"] == name and ended(item)) for item in hung]
    assert ninth["outcome"]["status"] == "mitigated"
    for record in lost:
        assert record["outcome"]["status"] == "escalated"
        assert record["diagnosis"]["suspected_cause"] == "host_unreachable"
        assert record["actions"] == []
    # What waits behind others is given up in these words. A machine under load may be too slow to measure: no matter.
    given_up = [item["text"] for item in ninth["evidence"] if item["status"] == "failed"]
    for words in ("no free thread", "already under way", "no SSH connection"):
        assert [text for text in given_up if words in text] == []


def test_a_model_looks_first_and_what_it_saw_and_was_sent_is_on_record(world: World) -> None:
    ask = {"tool": "logs", "params": {"unit": "shopd", "minutes": 5}, "why": "its log may say why"}
    guess = {"suspected_cause": "unknown", "summary": "not yet", "confidence": 0, "evidence_ids": [], "ask": [ask]}
    found = {"suspected_cause": "service_stopped", "summary": "shopd was stopped", "confidence": 0.9, "target": "shopd"}
    step = {"action": "start_service", "params": {"unit": "shopd"}, "why": "E2: it is stopped", "expect": "it runs"}
    script = (answer(guess), answer(found | {"evidence_ids": ["E2"]}), answer({"summary": "start it", "steps": [step]}))
    with serving(*script) as server:
        price = {"input_per_million_tokens": 2, "output_per_million_tokens": 8}
        llm = {"model": "scripted", "base_url": server.base_url, "structured_output": "json_schema", "price": price}
        world.serve(llm=llm)
        fault("service_stopped").inject(world.stage, world.host)
        record = world.until(ended)
        assert len(server.requests) == 3
        second = server.requests[1]["messages"][-1]["content"]
    assert record["outcome"]["status"] == "mitigated"
    assert record["diagnosis"]["author"] == record["plan"]["author"] == "llm:scripted"
    looked = next(item for item in record["evidence"] if item["id"] == "I1")
    assert (looked["source"], looked["status"]) == ("logs", "observed")
    assert "[I1] logs observed" in second and "shopd" in second
    assert [entry["node"] for entry in record["timeline"]].count("investigate") == 1
    assert (record["model"]["calls"], record["model"]["models"]) == (3, ["scripted"])
    assert record["model"]["cost_usd"] > 0
    shown = world.cli("prompt", "show", str(record["number"]), "--call", "2")
    assert shown.returncode == 0, shown.stderr
    assert "You find out why a piece of infrastructure is in trouble" in shown.stdout
    assert "[I1] logs observed" in shown.stdout and "BEGIN DATA" in shown.stdout


def test_a_model_that_is_down_is_told_and_the_runbook_heals(world: World) -> None:
    llm = {"model": "absent", "base_url": "http://127.0.0.1:9/v1", "timeout_seconds": 5}
    world.serve(llm=llm)
    fault("service_stopped").inject(world.stage, world.host)
    record = world.until(ended)
    assert record["outcome"]["status"] == "mitigated"
    assert "fell back from llm:absent" in record["diagnosis"]["author"]


def test_a_cancelled_heal_declines_and_leaves_the_world_alone(world: World) -> None:
    world.serve(ASK)
    fault("service_stopped").inject(world.stage, world.host)
    waiting = world.until(lambda item: item["phase"] == "waiting_approval")
    said = world.cli("cancel", str(waiting["number"]))
    assert said.returncode == exits.OK and "no side effect is under way" in said.stdout + said.stderr
    record = world.until(ended)
    assert (record["outcome"]["status"], record["outcome"]["rule"]) == ("declined", "cancelled")
    assert record["actions"] == [] and not world.stage.healthy(world.host)


def test_heal_in_the_foreground_needs_no_server(world: World) -> None:
    world.healer.configure(world.stage)
    fault("service_stopped").inject(world.stage, world.host)
    labels = {"alertname": "InstanceDown", "resource_kind": "Instance", "resource_id": "inst-abc123"}
    body = json.dumps({"alerts": [{"status": "firing", "labels": {**labels, "severity": "critical"}}]})
    done = world.cli("heal", "-", stdin=body)
    assert done.returncode == exits.OK, done.stdout + done.stderr
    told = (done.stdout + done.stderr).replace("\n", " ")
    assert "gather_context" in told and "mitigated" in told
    assert world.stage.healthy(world.host)


def test_heal_gives_the_record_as_json(world: World) -> None:
    world.serve()
    fault("service_stopped").inject(world.stage, world.host)
    file = world.healer.folder / "alert.json"
    labels = {"alertname": "ServiceDown", "resource_kind": "Instance", "resource_id": "inst-abc123"}
    file.write_text(json.dumps({"alerts": [{"status": "firing", "labels": labels}]}))
    done = world.cli("heal", str(file), "--json")
    record = json.loads(done.stdout)
    found = record if "outcome" in record else record["incidents"][0]
    assert found["outcome"]["status"] == "mitigated" and done.returncode == exits.OK


def test_doctor_finds_everything_in_order(world: World) -> None:
    world.serve()
    done = world.cli("doctor")
    assert done.returncode == exits.OK, done.stdout + done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
def test_a_human_signs_in_from_a_phone_approves_in_the_page_and_watches_it_heal(world: World) -> None:
    world.serve(ASK)
    fault("service_stopped").inject(world.stage, world.host)
    asked = world.until(lambda record: record["phase"] == "waiting_approval")
    # Each start offers a new way in, and the log has those of the tests before.
    link = re.findall(r"http://[^\s]+/login\?token=[\w%-]+", world.healer.log(400))[-1]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark").new_page()
        page.goto(link)
        page.get_by_role("button", name="Sign in with the token").click()
        page.wait_for_url("**/incidents")
        page.goto(f"{world.healer.url}/incidents/{asked['number']}")
        expect(page.locator("#decide")).to_contain_text("start shopd")
        expect(page.locator("#decide")).to_contain_text("nothing runs, and it is escalated to a human")
        page.get_by_role("button", name="Approve and run").click()
        expect(page.locator("h1 + .badge")).to_have_text("mitigated", timeout=60_000)
        expect(page.locator("#part-verification")).to_contain_text("pass")
        browser.close()
    record = world.healer.client().incident(str(asked["number"]))
    assert (record["outcome"]["status"], record["approvals"][0]["by"]) == ("mitigated", "first-admin")
    [decided] = [entry for entry in record["audit"] if entry["what"] == "approve"]
    assert decided["detail"]["address"] == "127.0.0.1" and decided["detail"]["via"] == "one-time"
    assert world.stage.healthy(world.host)
