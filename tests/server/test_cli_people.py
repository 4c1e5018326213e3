"""The verbs of an operator at 3 a.m. and the fleet's switches, from the command line against a live server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server import exits
from server.cli import run
from tests.server.live import LiveServer
from tests.server.people import APPROVER, VIEWER, with_people
from tests.server.test_cli import asked, record_of, selfheal
from tests.server.web import end_leg, finished


def out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_an_incident_is_taken_over_confirmed_and_given_back(
    live: LiveServer, incident: str, capsys: pytest.CaptureFixture[str]
) -> None:
    live.do(end_leg(live.services, incident, finished("escalated")))
    assert selfheal(live, "take-over", "1", "--minutes", "20", "-m", "mine", "--by", "ada") == exits.OK
    assert "#1 is ada's until" in out(capsys)
    assert selfheal(live, "take-over", "1", "--by", "bob") == exits.REFUSED
    assert "taken over by ada" in capsys.readouterr().err
    assert selfheal(live, "confirm", "1", "--cause", "unknown", "--wrong") == exits.OK
    assert "the repair was wrong" in out(capsys)
    assert selfheal(live, "confirm", "1", "--cause", "gremlins") == exits.REFUSED
    assert selfheal(live, "incidents", "show", "1") == exits.OK
    assert "ada has it until" in out(capsys)
    assert selfheal(live, "retry", "1") == exits.OK
    assert record_of(live, incident)["taken_over"] is None


def test_a_plan_is_rejected_for_another(live: LiveServer, incident: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked(live, incident)
    assert selfheal(live, "reject", "1", "--replan", "-m", "not a restart") == exits.OK
    assert record_of(live, incident)["audit"][-1]["detail"]["then"] == "replan"


def test_one_kind_is_paused_for_a_time_and_the_fleet_says_so(
    live: LiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert selfheal(live, "fleet") == exits.OK
    assert "nothing is paused" in out(capsys)
    assert selfheal(live, "pause", "--scope", "kind:Instance", "--for", "30", "--reason", "deploy") == exits.OK
    assert "selfheal resume --scope kind:Instance" in out(capsys)
    assert selfheal(live, "fleet") == exits.OK
    told = out(capsys)
    assert "paused: kind:Instance until" in told and "deploy" in told
    assert selfheal(live, "pause", "--scope", "kind:Nothing") == exits.REFUSED
    assert selfheal(live, "resume") == exits.OK
    assert "still paused: kind:Instance" in out(capsys)
    assert selfheal(live, "resume", "--scope", "kind:Instance", "--json") == exits.OK
    assert json.loads(out(capsys))["pauses"] == []


def test_the_ladder_is_reported_and_what_is_not_demoted_is_not_promoted(
    live: LiveServer, incident: str, capsys: pytest.CaptureFixture[str]
) -> None:
    live.do(end_leg(live.services, incident, finished("escalated")))
    assert selfheal(live, "policies", "report") == exits.OK
    told = out(capsys)
    assert "service_down" in told and "keep: 0 of 5 healed as planned" in told
    assert selfheal(live, "policies", "report", "--json") == exits.OK
    assert json.loads(out(capsys))["pairs"][0]["escalated"] == 1
    assert selfheal(live, "policies", "promote", "Instance", "service_down") == exits.REFUSED


def test_the_audit_log_says_who_did_what_from_where(live: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    selfheal(live, "pause", "--reason", "migration", "--by", "ada")
    out(capsys)
    assert selfheal(live, "audit") == exits.OK
    told = out(capsys)
    assert all(word in told for word in ("ada", "pause", "migration", "127.0.0.1"))
    assert selfheal(live, "audit", "--who", "bob", "--json") == exits.OK
    assert json.loads(out(capsys)) == {"entries": [], "next_cursor": None}


def test_without_a_server_the_verbs_name_the_remedy(capsys: pytest.CaptureFixture[str], live: LiveServer) -> None:
    assert run(["take-over", "1", "--server", "http://127.0.0.1:9", "--config", str(live.config)]) == exits.ERROR


def test_who_brings_a_token_of_their_own_is_recorded_by_it_and_may_what_their_role_allows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = LiveServer(tmp_path, with_people(tmp_path))
    server.up()
    try:
        monkeypatch.setenv("SELFHEAL_TOKEN", VIEWER)
        assert selfheal(server, "pause", "--reason", "x") == exits.REFUSED
        assert "this needs approver" in capsys.readouterr().err
        monkeypatch.setenv("SELFHEAL_TOKEN", APPROVER)
        assert selfheal(server, "pause", "--reason", "x") == exits.OK
        assert [item["by"] for item in server.do(server.services.store.pauses())] == ["ann"]
        assert selfheal(server, "pause", "--by", "bob") == exits.REFUSED
    finally:
        server.down()
