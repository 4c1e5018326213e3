"""The product's own graph over a recorded world: how far it goes, and that it touches nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents.reasoning.runbook import RunbookReasoner
from evals.case import Case, InvalidCase, Recorded
from evals.target import CaseRun, run_case
from graph.facts import fact_key
from graph.records import Attempt
from tests.evals.a_case import CRASHED, NOTHING, RECEIVED, RESOURCE, made, units


async def replayed(case: Case) -> CaseRun:
    return await run_case(case, RunbookReasoner())


async def test_a_replay_goes_through_the_gate_and_ends_before_the_first_action(tmp_path: Path) -> None:
    log = Recorded(tool="journal", at_seconds=0.5, status="no_data", text="nothing was written")
    run = await replayed(made(tmp_path, CRASHED, log))
    assert run.path == ("gather_context", "diagnose", "plan", "gate")
    assert run.ended_before == "execute"
    assert run.gate is not None and run.gate.decision == "run"
    assert run.diagnosis is not None and run.diagnosis.suspected_cause == "process_crashed"
    assert run.plan is not None and [step.action for step in run.plan.steps] == ["restart_service"]
    assert "systemctl restart svc-a" in run.plan.steps[0].rendered
    assert run.error == "" and run.spent.calls == 0


async def test_what_nothing_explains_is_looked_at_again_in_the_second_round(tmp_path: Path) -> None:
    run = await replayed(made(tmp_path, NOTHING, CRASHED.model_copy(update={"round": 2})))
    assert run.path.count("gather_context") == run.path.count("diagnose") == 2
    assert run.diagnosis is not None and run.diagnosis.suspected_cause == "process_crashed"
    assert run.diagnosis.diagnosed_at is not None and (run.diagnosis.diagnosed_at - RECEIVED).total_seconds() == 5
    assert run.ended_before == "execute"


async def test_what_stays_unexplained_goes_to_a_human(tmp_path: Path) -> None:
    run = await replayed(made(tmp_path, NOTHING))
    assert run.diagnosis is not None and run.diagnosis.suspected_cause == "unknown"
    assert run.ended_before == "escalate" and run.plan is None


async def test_where_nothing_is_wrong_it_would_verify_and_plan_nothing(tmp_path: Path) -> None:
    host = Recorded(tool="host", at_seconds=0.1, facts={"host.reachable": True})
    health = Recorded(tool="health", at_seconds=0.1, facts={fact_key("health.ok", check="tcp 10.1.1.40:80"): True})
    run = await replayed(made(tmp_path, units("running"), host, health))
    assert run.diagnosis is not None and run.diagnosis.suspected_cause == "no_fault"
    assert run.plan is None and run.ended_before in ("verify", "close")


async def test_a_later_attempt_knows_what_was_tried(tmp_path: Path) -> None:
    tried = Attempt(
        number=1,
        suspected_cause="process_crashed",
        plan_fingerprint="0" * 16,
        actions=("restart_service",),
        target="svc-a",
        acted=True,
        why_ended="svc-a failed again",
        ended_at=RECEIVED,
    )
    again = CRASHED.model_copy(update={"attempt": 2})
    run = await replayed(made(tmp_path, units("running"), again, attempt=2, attempts=(tried,)))
    assert run.diagnosis is not None and run.diagnosis.suspected_cause == "process_crashed"
    assert [item.id for item in run.evidence][:1] == ["E2.1"]
    assert run.plan is None or not run.plan.steps, "its only remedy is spent"


async def test_a_kind_that_nobody_declares_is_refused_by_name(tmp_path: Path) -> None:
    case = made(tmp_path)
    other = replace(case, file=case.file.model_copy(update={"kind": "Toaster"}))
    with pytest.raises(InvalidCase, match="'Toaster'"):
        await replayed(other)


async def test_a_resource_nobody_knows_is_escalated_unseen(tmp_path: Path) -> None:
    case = made(tmp_path)
    run = await replayed(replace(case, context=case.context.model_copy(update={"resource": None})))
    assert run.plan is None and run.ended_before == "escalate"


async def test_what_else_is_declared_bounds_the_plan_as_in_production(tmp_path: Path) -> None:
    """A unit that eats the CPU is stopped, but not where another resource on this machine has declared it."""
    facts = {
        "host.reachable": True,
        "cpu.busy_percent": 99.0,
        "cpu.used_percent": 190.0,
        "cpu.count": 2,
        fact_key("unit.state", unit="svc-a"): "running",
        fact_key("process.cpu_percent", pid="77", name="proc-a"): 185.0,
        fact_key("process.unit", pid="77"): "svc-b.service",
        fact_key("process.started", pid="77"): 4711,
        fact_key("process.parent", pid="77"): 1,
    }
    hot = Recorded(tool="processes", at_seconds=0.5, facts=facts)
    beside = RESOURCE.model_copy(update={"id": "host-b", "services": ("svc-b",)})
    alone = await replayed(made(tmp_path, hot))
    assert alone.diagnosis is not None and alone.diagnosis.suspected_cause == "runaway_process", alone.diagnosis
    assert alone.plan is not None and alone.plan.steps and alone.plan.steps[0].action == "stop_unit", alone.plan
    bounded = await replayed(made(tmp_path, hot, inventory=(beside,)))
    assert not bounded.plan or all(step.action != "stop_unit" for step in bounded.plan.steps)
