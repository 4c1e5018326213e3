"""A heal that really ran becomes a case, and the case comes to what the heal came to."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from agents.reasoning.runbook import RunbookReasoner
from evals.case import Case, load_case
from evals.commands.record import record as command
from evals.leaks import leaks_of
from evals.record import NotRecordable, record_case
from evals.target import run_case
from graph.facts import fact_key
from graph.ports import HealSettings
from graph.reasoning import InquiryLimits
from graph.records import Observation
from server import exits
from server.commands.common import Common
from server.store.compacting import gathered, settle
from server.store.expiring import expire
from tests.evals.recorded_world import LOG, SHOP, WORDS, Curious, Healing, crashed, healing, puzzling

FAILS = Observation(criterion="service", status="fail", observed="acmeshop is failed")


def recorded(world: Healing, incident: str, folder: Path, **more: Any) -> Case:
    return record_case(world.client, incident, world.settings, folder, **more)


def files_of(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.is_file())


async def test_a_heal_is_recorded_and_its_replay_comes_to_the_same(tmp_path: Path) -> None:
    with healing(tmp_path) as world:
        incident = world.heal()
        record = world.client.incident(incident)
        case = recorded(world, incident, tmp_path / "case-7", tags=("web",))
    assert load_case(tmp_path / "case-7") == case, "what is returned is what was written"
    run = await run_case(case, RunbookReasoner())
    assert run.error == "" and run.not_recorded == ()
    assert run.diagnosis is not None and run.plan is not None
    assert record["diagnosis"]["suspected_cause"] == run.diagnosis.suspected_cause == "process_crashed"
    assert record["diagnosis"]["confidence"] == run.diagnosis.confidence
    assert record["diagnosis"]["evidence_ids"] == list(run.diagnosis.evidence_ids)
    assert record["actions"][0]["action"] == run.plan.steps[0].action == "restart_service"
    assert run.plan.steps[0].params == {"unit": "svc-a"}


def test_a_case_holds_all_that_was_seen_and_nothing_of_whose_it_was(tmp_path: Path) -> None:
    with healing(tmp_path) as world:
        case = recorded(world, world.heal(), tmp_path / "case-7")
    assert [word for word in WORDS if word in files_of(case.folder)] == []
    assert case.context.resource is not None and case.context.resource.ssh is not None
    assert case.context.resource.ssh.key_file == "/etc/selfheal/key"
    assert leaks_of(case.folder) == ()
    units = next(call for call in case.calls if call.tool == "units")
    assert units.facts[fact_key("unit.result", unit="svc-a")] == "signal" and "Id=svc-a.service" in units.raw
    log = next(call for call in case.calls if call.tool == "journal")
    assert len(log.text) > 300 and log.text.count("svc-a[") == LOG.count("acmeshop["), (
        "the whole text, not its beginning"
    )
    failed = next(call for call in case.calls if call.tool == "processes")
    assert failed.status == "failed" and failed.text == "ConnectionError: processes on host-a: no route to 10.1.1.40"
    assert all(alert.firing and alert.ends_at is None for alert in case.alerts.alerts)
    assert case.context.resource is not None and case.context.resource.services == ("svc-a",)


def test_a_draft_names_what_was_diagnosed_and_by_which_facts(tmp_path: Path) -> None:
    with healing(tmp_path) as world:
        expected = recorded(world, world.heal(), tmp_path / "case-7").expected
    assert (expected.ending, expected.accepted_causes) == ("repair", ("process_crashed",))
    assert expected.first_actions == ("restart_service",) and expected.forbidden_actions == ()
    assert set(expected.required_facts) == {"unit.state", "unit.result", "unit.signal"}
    assert expected.mechanism == "unsorted_case_7"
    came = expected.came_of
    assert (came.suspected_cause, came.author, came.actions) == ("process_crashed", "runbook", ("restart_service",))
    assert came.outcome == "mitigated" and came.confirmed.by == "nobody"


def test_what_a_human_confirmed_goes_before_what_was_diagnosed(tmp_path: Path) -> None:
    with healing(tmp_path) as world:
        incident = world.heal()
        world.client.ask(incident, "confirm", {"cause": "no_fault", "comment": "jdoe was testing", "by": "ann"})
        expected = recorded(world, incident, tmp_path / "case-7").expected
    assert (expected.ending, expected.accepted_causes) == ("no_fault", ("no_fault",))
    assert expected.forbidden_actions == ("*",) and expected.first_actions == ()
    confirmed = expected.came_of.confirmed
    assert (confirmed.by, confirmed.cause, confirmed.comment) == ("human", "no_fault", "user_a was testing")
    assert expected.came_of.suspected_cause == "process_crashed"


async def test_both_looks_of_an_attempt_are_recorded_as_rounds(tmp_path: Path) -> None:
    with healing(tmp_path, (puzzling(), crashed())) as world:
        case = recorded(world, world.heal(), tmp_path / "case-7")
    assert {call.round for call in case.calls if call.tool == "units"} == {1, 2}
    assert {call.attempt for call in case.calls} == {1}
    assert [call.status for call in case.calls if call.tool == "units"] == ["no_data", "observed"]
    first, second = (call for call in case.calls if call.tool == "journal")
    assert len(second.text) > 300 > len(first.text), "the archive keeps the last look's; of the first its beginning"
    assert second.text.startswith(first.text)
    assert first.raw == "" and second.raw != ""
    run = await run_case(case, RunbookReasoner())
    assert run.path.count("gather_context") == 2 and run.ended_before == "execute"


async def test_each_attempt_is_kept_apart_and_can_be_the_case(tmp_path: Path) -> None:
    with healing(tmp_path, health=((FAILS,),)) as world:
        incident = world.heal("escalated")
        record = world.client.incident(incident)
        first = recorded(world, incident, tmp_path / "case-1")
        second = recorded(world, incident, tmp_path / "case-2", attempt=2)
        with pytest.raises(NotRecordable, match="attempt 9: #1 has 2"):
            recorded(world, incident, tmp_path / "case-3", attempt=9)
    assert {call.attempt for call in first.calls} == {1, 2}
    assert first.context.attempts == () and len(second.context.attempts) == 1
    assert record["outcome"]["status"] == "escalated" and first.expected.ending == "escalate"
    run = await run_case(second, RunbookReasoner())
    assert [attempt.number for attempt in run.attempts] == [1]
    assert run.evidence[0].id == "E2.1" and run.ended_before == "escalate"


async def test_what_a_reasoner_asked_is_recorded_with_its_arguments(tmp_path: Path) -> None:
    with healing(tmp_path, reasoner=Curious()) as world:
        case = recorded(world, world.heal(), tmp_path / "case-7")
    [asked] = [call for call in case.calls if call.inquiry]
    assert asked.tool == "logs" and asked.params == {"unit": "svc-a"} and "lines of svc-a" in asked.text
    settings = HealSettings(inquiries=InquiryLimits(calls=3))
    run = await run_case(case, Curious(), settings=settings)
    assert run.not_recorded == () and run.inquiries[0].evidence_id == "I1"
    assert next(item for item in run.evidence if item.id == "I1").status == "observed"
    assert run.diagnosis is not None and run.diagnosis.suspected_cause == "process_crashed"


def test_an_incident_that_waits_is_refused_unless_it_is_asked_besides(tmp_path: Path) -> None:
    with healing(tmp_path, auto_heal=False) as world:
        incident = world.heal("waiting_approval")
        with pytest.raises(NotRecordable, match=r"#1 is waiting_approval: .*--ask"):
            recorded(world, incident, tmp_path / "case-7")
        assert not (tmp_path / "case-7").exists()
        case = recorded(world, incident, tmp_path / "case-7", waiting=True)
    assert case.expected.ending == "repair" and case.expected.first_actions == ("restart_service",)
    assert case.expected.came_of.outcome == ""


def test_a_folder_that_is_no_id_is_refused(tmp_path: Path) -> None:
    with healing(tmp_path) as world, pytest.raises(NotRecordable, match="named by its id"):
        recorded(world, "1", tmp_path / "My Case")


# -- what retention has taken --------------------------------------------------------------------------------


def compact(world: Healing, incident: str) -> None:
    store = world.live.services.store

    async def now() -> None:
        found = await store._db.read(lambda c: gathered(c, incident))
        assert found is not None
        assert await store._db.write(lambda c: settle(c, found, store._now())) is not None

    world.live.do(now())


async def test_a_compacted_incident_is_recorded_from_what_is_left(tmp_path: Path) -> None:
    with healing(tmp_path) as world:
        incident = world.heal()
        compact(world, incident)
        assert world.client.incident(incident)["compacted"]["evidence"] == "kept"
        case = recorded(world, incident, tmp_path / "case-7")
    run = await run_case(case, RunbookReasoner())
    assert run.diagnosis is not None and run.diagnosis.suspected_cause == "process_crashed"
    assert next(call for call in case.calls if call.tool == "journal").raw != ""


def test_a_compacted_incident_of_which_arguments_are_gone_is_refused_by_name(tmp_path: Path) -> None:
    with healing(tmp_path, reasoner=Curious()) as world:
        incident = world.heal()
        compact(world, incident)
        with pytest.raises(NotRecordable, match="compacted, and of it are missing: the arguments of what"):
            recorded(world, incident, tmp_path / "case-7")


def test_an_incident_whose_evidence_has_expired_is_refused(tmp_path: Path) -> None:
    with healing(tmp_path) as world:
        incident = world.heal()
        compact(world, incident)
        store = world.live.services.store
        later = store._now() + timedelta(days=1)
        assert world.live.do(store._db.write(lambda c: expire(c, incident, later, later)))
        with pytest.raises(NotRecordable, match="its evidence has expired"):
            recorded(world, incident, tmp_path / "case-7")


# -- the command ---------------------------------------------------------------------------------------------


def selfheal_evals(world: Healing, *arguments: str) -> Any:
    app = typer.Typer()
    app.callback()(_root(world))
    app.command()(command)
    return CliRunner().invoke(app, ["record", *arguments])


def _root(world: Healing) -> Any:
    def root(context: typer.Context) -> None:
        context.obj = Common(world.live.config)

    return root


def test_the_command_writes_a_case_and_says_that_it_is_a_draft(tmp_path: Path) -> None:
    with healing(tmp_path) as world:
        world.heal()
        done = selfheal_evals(world, "1", "--out", str(tmp_path / "cases"))
        assert done.exit_code == exits.OK, done.output
        assert "incident-1: 13 recorded answers" in done.output and "DRAFT" in done.output
        assert "nobody confirmed it" in done.output
        again = selfheal_evals(world, "1", "--out", str(tmp_path / "cases"))
        assert again.exit_code == exits.REFUSED and "is there already" in again.output and "--id" in again.output
        told = selfheal_evals(world, "1", "--out", str(tmp_path / "cases"), "--id", "case-9", "--json")
        said = json.loads(told.stdout)
        assert said["id"] == "case-9" and said["draft"] is True and said["leaks"] == []
    assert load_case(tmp_path / "cases/incident-1").expected.accepted_causes == ("process_crashed",)


def test_the_command_refuses_to_ask_when_the_trouble_is_over(tmp_path: Path) -> None:
    with healing(tmp_path) as world:
        world.heal()
        done = selfheal_evals(world, "1", "--out", str(tmp_path / "cases"), "--ask")
    assert done.exit_code == exits.REFUSED and "#1 is closed" in done.output and "leave --ask out" in done.output


def test_the_command_asks_besides_while_a_plan_waits(tmp_path: Path) -> None:
    here = SHOP | {"transport": "local", "ssh": None, "provider": {}, "address": "127.0.0.1"}
    with healing(tmp_path, auto_heal=False, resources=(here,)) as world:
        world.heal("waiting_approval")
        done = selfheal_evals(world, "1", "--out", str(tmp_path / "cases"), "--ask", "--json")
    assert done.exit_code == exits.OK, done.output
    case = load_case(tmp_path / "cases/incident-1")
    asked = [call for call in case.calls if call.inquiry]
    assert {call.tool for call in asked} >= {"logs", "host_probe", "prometheus_instant", "prometheus_range"}
    assert {call.params["unit"] for call in asked if call.tool == "logs"} == {"svc-a"}
    assert json.loads(done.stdout)["inquiries"] == len(asked)
