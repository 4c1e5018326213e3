"""A model that wants to see more first: through the wire format, in each of the three ways a server can be asked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from evals.openai_server import Reply, answer, serving, text, tool_call
from graph.ports import Asks, DiagnosisRequest, Inquiry, InquiryLimits, InquirySpec
from graph.records import Diagnosis
from tests.agents.reasoning_examples import CRASH, diagnosis_request, seen
from tests.agents.test_llm import GOOD, reasoner, with_fallback


class LogParams(BaseModel):
    model_config = ConfigDict(extra="forbid")
    unit: Literal["web", "db"]
    minutes: int = Field(default=10, ge=1, le=60)


class NoParams(BaseModel):
    model_config = ConfigDict(extra="forbid")


LOGS = InquirySpec("logs", "the log of one unit", LogParams)
PROBE = InquirySpec("host_probe", "look at the host again", NoParams)
LEFT = InquiryLimits(calls=3, tokens=10_000, seconds=20, bytes_per_result=800)
ASK = {"tool": "logs", "params": {"unit": "web"}, "why": "the end of its log may tell"}
GUESS: dict[str, Any] = {"suspected_cause": "unknown", "summary": "not yet", "confidence": 0, "evidence_ids": []}


def asking(**more: Any) -> DiagnosisRequest:
    return replace(diagnosis_request(), tools=(LOGS, PROBE), left=LEFT, **more)


WAYS: list[Any] = [
    pytest.param("json_schema", answer(GUESS | {"ask": [{"logs": {"unit": "web"}, "why": "?"}]}), id="json_schema"),
    pytest.param("json_schema", answer(GUESS | {"ask": [ASK]}), id="json_schema of another mind"),
    pytest.param("function_calling", tool_call('{"unit": "web"}', name="logs"), id="function_calling"),
    pytest.param("json", text(f"I want to see: {json.dumps({'ask': [ASK]})}"), id="json"),
]


@pytest.mark.parametrize(("method", "reply"), WAYS)
async def test_a_model_may_ask_a_tool_before_it_answers(method: str, reply: Reply) -> None:
    with serving(reply, answer(GOOD) if method != "json" else text(json.dumps(GOOD))) as server:
        llm = reasoner(server, structured_output=method)
        asked = await llm.diagnose(asking())
        assert isinstance(asked, Asks)
        [inquiry] = asked.inquiries
        answered = inquiry.model_copy(update={"evidence_id": "I1"})
        evidence = (*CRASH, seen("I1", {'s.crashed{unit="web"}': True}, "logs", "segfault at 0"))
        found = await llm.diagnose(asking(evidence=evidence, inquiries=(answered,)))
    assert (inquiry.tool, inquiry.params) == ("logs", {"unit": "web", "minutes": 10})
    assert isinstance(found, Diagnosis) and found.suspected_cause == "crashed"
    assert "segfault at 0" in server.requests[1]["messages"][-1]["content"]


async def test_tools_are_offered_as_such_to_servers_that_can_call_functions() -> None:
    with serving(answer(GOOD)) as server:
        await reasoner(server, structured_output="function_calling").diagnose(asking())
    [request] = server.requests
    assert [tool["function"]["name"] for tool in request["tools"]] == ["DiagnosisAnswer", "logs", "host_probe"]
    parameters = request["tools"][1]["function"]["parameters"]
    assert parameters["properties"]["unit"]["enum"] == ["web", "db"]
    assert request["tool_choice"] == "required"


async def test_the_model_is_told_what_is_left_and_nothing_is_offered_where_nothing_is() -> None:
    with serving(answer(GOOD)) as server:
        llm = reasoner(server)
        await llm.diagnose(asking())
        await llm.diagnose(replace(asking(), tools=(), left=InquiryLimits(calls=0), inquiries=(Inquiry(tool="logs"),)))
    first, last = (request["messages"][-1]["content"] for request in server.requests)
    assert "3 calls of tools, 20 s for their answers, 10000 tokens" in first and "cut to 800 bytes" in first
    assert "Nothing more can be asked" in last
    schemas = [request["response_format"]["json_schema"]["schema"]["properties"] for request in server.requests]
    assert ["ask" in properties for properties in schemas] == [True, False]


async def test_a_diagnosis_that_has_spent_its_tokens_may_ask_no_more() -> None:
    with serving(answer(GUESS | {"ask": [ASK]}), answer(GOOD)) as server:
        llm = reasoner(server)
        limited = replace(asking(), left=replace(LEFT, tokens=50))
        assert isinstance(await llm.diagnose(limited), Asks)
        asked = Inquiry(tool="logs", params={"unit": "web"}, evidence_id="I1")
        found = await llm.diagnose(replace(limited, inquiries=(asked,)))
    assert isinstance(found, Diagnosis)
    assert "ask" not in server.requests[1]["response_format"]["json_schema"]["schema"]["properties"]


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (ASK | {"tool": "shell", "params": {"command": "id"}}, "the tool 'shell' does not exist; there is logs"),
        (ASK | {"params": {"unit": "etcd; rm -rf /"}}, "logs: unit: Input should be 'web' or 'db'"),
        (ASK | {"params": {"unit": "web", "minutes": 10**9}}, "logs: minutes: Input should be less than"),
        (ASK | {"params": "web"}, "logs: the answer: Input should be"),
    ],
)
async def test_a_question_to_no_tool_or_with_other_params_goes_back_once_and_is_then_the_runbooks_turn(
    ask: dict[str, Any], reason: str
) -> None:
    with serving(answer(GUESS | {"ask": [ask]})) as server:
        found = await with_fallback(server).diagnose(asking())
    assert isinstance(found, Diagnosis) and found.author.startswith("runbook (fell back from llm:tiny")
    assert reason in server.requests[1]["messages"][-1]["content"]
    assert len(server.requests) == 2


async def test_a_question_stands_under_its_tools_name_with_that_tools_params_only() -> None:
    with serving(answer(GOOD)) as server:
        await reasoner(server).diagnose(asking())
    [request] = server.requests
    properties = request["response_format"]["json_schema"]["schema"]["properties"]["ask"]["items"]["properties"]
    assert list(properties) == ["logs", "host_probe", "why"]
    assert properties["logs"]["required"] == ["unit"] and properties["host_probe"]["properties"] == {}


async def test_several_questions_in_one_object_are_several() -> None:
    both = {"logs": {"unit": "web"}, "host_probe": {}, "why": "to be sure"}
    with serving(answer(GUESS | {"ask": [both]})) as server:
        asked = await reasoner(server).diagnose(asking())
    assert isinstance(asked, Asks)
    assert [(inquiry.tool, inquiry.why) for inquiry in asked.inquiries] == [
        ("logs", "to be sure"),
        ("host_probe", "to be sure"),
    ]


async def test_a_model_that_asks_for_more_than_is_left_gets_what_is_left() -> None:
    many = [ASK | {"params": {"unit": "web", "minutes": minutes}} for minutes in range(1, 5)]
    with serving(answer(GUESS | {"ask": many})) as server:
        asked = await reasoner(server).diagnose(asking())
    assert isinstance(asked, Asks) and len(asked.inquiries) == LEFT.calls
