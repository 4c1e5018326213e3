"""The command line, against real servers on loopback and alone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from server import exits
from server.cli import run
from tests.server.live import LiveServer, free_port, prometheus
from tests.server.web import PLAN, alert_body, asking, end_leg, finished

SECONDS = 30.0


def selfheal(live: LiveServer, *arguments: str) -> int:
    return run([*arguments, "--config", str(live.config)])


def asked(live: LiveServer, incident: str) -> None:
    live.do(end_leg(live.services, incident, asking()))


def record_of(live: LiveServer, incident: str) -> dict[str, Any]:
    found = live.do(live.services.store.incident(incident))
    assert found is not None
    return found


# -- reading -----------------------------------------------------------------------------------------------


def test_incidents_are_listed_and_shown_for_people_and_programs(
    live: LiveServer, incident: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert selfheal(live, "incidents", "list") == exits.OK
    assert "Instance/inst-abc123" in capsys.readouterr().out
    assert selfheal(live, "incidents", "list", "--json") == exits.OK
    assert json.loads(capsys.readouterr().out)["incidents"][0]["id"] == incident
    assert selfheal(live, "incidents", "show", "1", "--json") == exits.OK
    assert json.loads(capsys.readouterr().out)["id"] == incident
    asked(live, incident)
    assert selfheal(live, "incidents", "show", "1") == exits.OK
    shown = capsys.readouterr().out
    assert "waiting for approval" in shown and "restart(unit=web)" in shown and "selfheal approve 1" in shown


def test_config_is_taken_before_and_after_the_command(live: LiveServer, incident: str) -> None:
    assert run(["--config", str(live.config), "incidents", "list"]) == exits.OK


def test_an_unknown_incident_is_refused_in_words(live: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert selfheal(live, "incidents", "show", "99") == exits.REFUSED
    assert "there is no incident 99" in capsys.readouterr().err


# -- deciding ----------------------------------------------------------------------------------------------


def test_a_waiting_plan_is_approved_once(live: LiveServer, incident: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert selfheal(live, "approve", "1") == exits.REFUSED
    assert "not waiting for approval" in capsys.readouterr().err
    asked(live, incident)
    assert selfheal(live, "approve", "1", "--plan", "0" * 16) == exits.REFUSED
    assert selfheal(live, "approve", "1", "--by", "ann", "-m", "go") == exits.OK
    assert PLAN.plan_fingerprint in capsys.readouterr().out
    assert record_of(live, incident)["approvals"][0]["by"] == "ann"
    assert selfheal(live, "approve", "1") == exits.REFUSED


def test_a_plan_is_approved_with_other_steps(live: LiveServer, incident: str, tmp_path: Path) -> None:
    asked(live, incident)
    steps = tmp_path / "steps.json"
    steps.write_text('[{"action": "restart", "params": {"unit": "db"}}]')
    assert selfheal(live, "approve", "1", "--steps", str(steps)) == exits.OK
    assert record_of(live, incident)["approvals"][0]["decision"] == "edit"
    steps.write_text("restart it")
    assert selfheal(live, "approve", "1", "--steps", str(steps)) == exits.USAGE


def test_a_plan_is_rejected(live: LiveServer, incident: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked(live, incident)
    assert selfheal(live, "reject", "1", "-m", "not now", "--json") == exits.OK
    assert json.loads(capsys.readouterr().out)["decision"] == "reject"
    assert record_of(live, incident)["approvals"][0]["comment"] == "not now"


def test_cancel_retry_and_close_say_what_they_did(
    live: LiveServer, incident: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert selfheal(live, "retry", "1") == exits.REFUSED
    assert selfheal(live, "cancel", "1") == exits.OK
    assert "stops here" in capsys.readouterr().out
    live.do(end_leg(live.services, incident, finished("escalated")))
    assert selfheal(live, "retry", "1") == exits.OK
    live.do(end_leg(live.services, incident, finished("escalated")))
    assert selfheal(live, "close", "1", "-m", "replaced") == exits.OK
    assert record_of(live, incident)["phase"] == "closed"


def test_pause_and_resume(live: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert selfheal(live, "pause", "-m", "migration", "--json") == exits.OK
    assert json.loads(capsys.readouterr().out)["paused"]["reason"] == "migration"
    assert selfheal(live, "resume") == exits.OK
    assert live.do(live.services.store.paused()) is None


# -- healing -----------------------------------------------------------------------------------------------


def alert_file(folder: Path, body: Any = None) -> str:
    file = folder / "alert.json"
    file.write_text(json.dumps(body if body is not None else alert_body()))
    return str(file)


def test_heal_follows_the_server_to_the_end(
    live: LiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: asyncio.Queue[str] = asyncio.Queue()
    live.services.store.listen(opened.put_nowait)

    async def heal_it() -> None:
        await end_leg(live.services, await opened.get(), finished("mitigated", "held"))

    worker = threading.Thread(target=lambda: live.do(heal_it()))
    worker.start()
    assert selfheal(live, "heal", alert_file(tmp_path), "--json") == exits.OK
    worker.join(SECONDS)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["outcome"]["status"] == "mitigated"
    assert "received InstanceDown" in printed.err


def test_heal_leaves_a_plan_that_waits_and_says_how_to_approve(
    live: LiveServer, incident: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(live, incident)
    assert selfheal(live, "heal", alert_file(tmp_path)) == exits.WAITING
    assert f"selfheal approve 1 --plan {PLAN.plan_fingerprint}" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "code"), [("escalated", exits.ESCALATED), ("declined", exits.DECLINED)])
def test_heal_tells_by_its_exit_code_how_it_ended(
    live: LiveServer, incident: str, tmp_path: Path, status: str, code: int
) -> None:
    live.do(end_leg(live.services, incident, finished(status)))
    assert selfheal(live, "heal", alert_file(tmp_path)) == code


def alone(folder: Path, url: str, **more: Any) -> Path:
    """A configuration nobody serves, with a host that is this machine."""
    resource = {"id": "inst-abc123", "kind": "Instance", "address": "127.0.0.1", "transport": "local"}
    healing = {"soak_seconds": 0.2, "verify_timeout_seconds": 5, "verify_interval_seconds": 0.1}
    content = {"listen": {"port": free_port()}, "prometheus": {"url": url}, "resources": [resource], "healing": healing}
    file = folder / "selfheal.yaml"
    file.write_text(json.dumps({**content, **more}))
    return file


def test_heal_works_alone_where_no_server_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with prometheus() as url:
        config = alone(tmp_path, url)
        code = run(["heal", alert_file(tmp_path), "--json", "--config", str(config)])
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    # This machine may be as busy as an alert would say: then a repair is planned, and nobody is there to approve it.
    assert record["waiting_for"] or record["outcome"]["status"] in ("self_resolved", "escalated"), printed.err
    outcome = record["outcome"]
    assert code == (exits.BY_OUTCOME[outcome["status"]] if outcome else exits.WAITING)
    for node in ("gather_context", "diagnose", "close" if outcome else "gate"):
        assert node in printed.err


def test_heal_alone_escalates_what_is_not_declared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = alone(tmp_path, "http://127.0.0.1:9")
    file = alert_file(tmp_path, alert_body(resource_id="nobody"))
    assert run(["heal", file, "--config", str(config)]) == exits.ESCALATED
    assert "names no declared Instance" in capsys.readouterr().out


@pytest.mark.parametrize(("content", "said"), [("{", "line 1, column 2"), ("{}", "alerts must be a list")])
def test_heal_refuses_a_body_that_makes_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    file = tmp_path / "alert.json"
    file.write_text(content)
    assert run(["heal", str(file), "--config", str(alone(tmp_path, "http://127.0.0.1:9"))]) == exits.USAGE
    assert said in capsys.readouterr().err


# -- the rest ----------------------------------------------------------------------------------------------


def test_policies_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"resource_kind": "Instance", "issue_type": "service_down", "auto_heal": True, "max_retries": 3}
    config = alone(tmp_path, "http://127.0.0.1:9", policies=[good])
    assert run(["policies", "check", "--config", str(config), "--json"]) == exits.OK
    assert json.loads(capsys.readouterr().out)[0]["max_retries"] == 3
    rehearsed = tmp_path / "rehearsed.json"
    rehearsed.write_text(json.dumps([{**good, "dry_run": True}]))
    assert run(["policies", "check", str(rehearsed)]) == exits.OK
    assert "dry run" in capsys.readouterr().out
    file = tmp_path / "policies.json"
    file.write_text(json.dumps([good, {**good, "issue_type": "gremlins"}]))
    assert run(["policies", "check", str(file)]) == exits.USAGE
    assert "policies[1].issue_type: unknown issue type 'gremlins'" in capsys.readouterr().err


def test_doctor_finds_what_is_wrong_and_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with prometheus() as url:
        config = alone(tmp_path, url)
        assert run(["doctor", "--config", str(config), "--json"]) == exits.OK
        checks = {check["subject"]: check for check in json.loads(capsys.readouterr().out)}
        assert checks["prometheus"]["status"] == checks["Instance/inst-abc123 access"]["status"] == "ok"
        assert checks["server"]["remedy"] == "start it with `selfheal serve`"
    assert run(["doctor", "--config", str(config)]) == exits.ERROR
    assert "correct prometheus.url" in " ".join(capsys.readouterr().out.split())


def test_without_a_configuration_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SELFHEAL_CONFIG", raising=False)
    assert run(["doctor"]) == exits.USAGE
    assert "copy selfheal.example.yaml" in capsys.readouterr().err


def test_without_a_server_the_remedy_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = alone(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "operator.token").write_text("some-operator-token")
    assert run(["incidents", "list", "--config", str(config)]) == exits.ERROR
    assert "selfheal serve" in capsys.readouterr().err


def test_the_help_names_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == exits.OK
    told = " ".join(capsys.readouterr().out.split())
    for word in ("serve", "heal", "incidents", "approve", "doctor", "3 escalated"):
        assert word in told
    assert run(["no-such-command"]) == exits.USAGE


# -- serve, as a process of its own --------------------------------------------------------------------------


class Served:
    """`selfheal serve` in a process of its own."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{json.loads(config.read_text())['listen']['port']}"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "serve", "--config", str(config)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def until(self, path: str) -> None:
        """Wait until the path answers 200."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if httpx.get(self.url + path, timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise AssertionError(f"{path} of {self.url} never answered 200")

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=SECONDS)
        return said

    def post(self) -> httpx.Response:
        token = (self.folder / "webhook.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.post(f"{self.url}/webhooks/alertmanager", json=alert_body(), headers=headers, timeout=10)


def test_serve_makes_its_tokens_heals_and_stops_on_sigterm(tmp_path: Path) -> None:
    with prometheus() as url:
        config = alone(tmp_path, url)
        served = Served(tmp_path, config)
        try:
            served.until("/healthz")
            assert served.post().status_code == 202
            served.until("/readyz")
            for name in ("webhook.token", "operator.token"):
                assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
            assert run(["heal", alert_file(tmp_path), "--config", str(config)]) != exits.ERROR
            assert run(["serve", "--config", str(config)]) == exits.ERROR, "a second one must not start"
        finally:
            said = served.stop()
    assert "ready to heal" in said and "Traceback" not in said
    token = (tmp_path / "operator.token").read_text().strip()
    assert token not in said
    assert len(re.findall(r"sign in once.* at http://127\.0\.0\.1:\d+/login\?token=[\w-]{43}$", said, re.M)) == 1


def test_serve_names_a_wrong_configuration_and_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = [{"id": "a", "kind": "Toaster", "address": "x", "transport": "local"}]
    assert run(["serve", "--config", str(alone(tmp_path, "http://127.0.0.1:9", resources=strange))]) == exits.USAGE
    assert "resources[0].kind: unknown kind 'Toaster'" in capsys.readouterr().err
