"""Params may be what there is on the resource, and nothing a model could make up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents import known_kinds
from agents.reasoning.answers import InvalidAnswer, schema_of
from agents.reasoning.plan_answers import plan_answer, to_plan
from agents.reasoning.possible import possible_values
from graph.facts import Facts
from graph.ports import PlanRequest
from graph.records import Diagnosis, Evidence
from graph.resources import Volume
from tests.agents.reasoning_examples import plan_request, resource, seen
from tools.actions import CATALOG

INSTANCE = known_kinds()["Instance"]
HOST = resource().model_copy(update={"kind": "Instance", "volumes": (Volume(mount="/srv", max_gib=20),)})
PROCESS = 'process.cpu_percent{pid="4242"}'
SEEN = seen(
    "E1",
    {
        PROCESS: 99.0,
        'process.started{pid="4242"}': 771,
        'process.name{pid="4242"}': "spin",
        'disk.used_percent{mount="/var"}': 97,
    },
)


def asked(cause: str, evidence: Evidence = SEEN) -> PlanRequest:
    specs = {action.spec.name: action.spec for action in CATALOG}
    request = plan_request()
    return replace(
        request,
        kind=INSTANCE,
        incident=request.incident.model_copy(update={"resource": HOST}),
        evidence=[evidence],
        actions=[specs[name] for name in INSTANCE.actions],
        diagnosis=Diagnosis(suspected_cause=cause, summary="so it is", confidence=0.9, evidence_ids=("E1",)),
    )


def step(action: str, **params: object) -> dict[str, object]:
    return {"summary": "do it", "steps": [{"action": action, "params": params, "why": "E1 shows it"}]}


def test_params_are_bound_to_what_is_declared_and_what_was_seen() -> None:
    values = possible_values(HOST, Facts.of([(SEEN.id, SEEN.facts)]), INSTANCE.cause("runaway_process"), None)
    assert values["unit"] == ("web", "db")
    assert values["pid"] == (4242,)
    assert set(values["mount"]) == {"/srv", "/var"}
    assert "/var/log" in values["root"]


def test_the_schema_of_a_remedys_action_names_the_values_there_are() -> None:
    schema = schema_of(plan_answer(asked("data_growth")))
    shapes = schema["properties"]["steps"]["items"]["anyOf"]
    [grow] = [shape for shape in shapes if shape["properties"]["action"].get("const") == "expand_volume"]
    assert set(grow["properties"]["params"]["properties"]["mount"]["enum"]) == {"/srv", "/var"}


@pytest.mark.parametrize(
    ("cause", "plan", "reason"),
    [
        ("process_crashed", step("restart_service", unit="sshd; reboot"), "unit: Input should be 'web' or 'db'"),
        ("runaway_process", step("stop_process", pid=1, started=771, name="spin"), "pid: Input should be 4242"),
        ("data_growth", step("expand_volume", mount="/etc", size_gib=10), "mount: Input should be"),
        ("log_growth", step("clean_logs", root="/home"), "root: Input should be"),
        ("process_crashed", step("stop_process", pid=1, started=1, name="init"), "pid: Input should be 4242"),
    ],
)
def test_an_invented_value_is_refused_with_those_there_are(cause: str, plan: dict[str, object], reason: str) -> None:
    request = asked(cause)
    with pytest.raises(InvalidAnswer, match=reason):
        to_plan(plan, plan_answer(request), request)


def test_an_action_beyond_the_causes_remedies_may_be_proposed_with_a_reason() -> None:
    request = asked("process_crashed")
    plan = to_plan(step("clean_logs", root="/var/log"), plan_answer(request), request)
    assert [(item.action, item.why) for item in plan.steps] == [("clean_logs", "E1 shows it")]
    without = step("clean_logs", root="/var/log")
    without["steps"] = [{"action": "clean_logs", "params": {"root": "/var/log"}}]
    with pytest.raises(InvalidAnswer, match=r"why: Field required"):
        to_plan(without, plan_answer(request), request)


def test_a_shape_is_made_once_for_what_is_possible_and_anew_for_what_else_is() -> None:
    other = seen("E1", {**SEEN.facts, 'disk.used_percent{mount="/home"}': 91})
    first, again, more = (plan_answer(asked("data_growth", evidence)) for evidence in (SEEN, SEEN, other))
    assert first is again and first is not more
    assert "/home" in str(schema_of(more)) and "/home" not in str(schema_of(first))
