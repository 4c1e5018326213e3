"""The model's reasoner against real HTTP servers that speak the wire format, well and badly.

Behind the runbook every story ends in the right answer: the model's, or the runbook's with the reason told.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from agents.reasoning.failures import ReasonerFailed
from agents.reasoning.fallback import FallbackReasoner
from agents.reasoning.llm import LlmReasoner, LlmSettings
from agents.reasoning.runbook import RunbookReasoner
from evals.openai_server import (
    Reply,
    ScriptedServer,
    answer,
    error,
    hang,
    raw,
    refusing,
    serving,
    text,
    tool_call,
)
from tests.agents.reasoning_examples import attempt, diagnosis_request, plan_request

GOOD: dict[str, Any] = {
    "suspected_cause": "crashed",
    "summary": "web crashed",
    "confidence": 0.8,
    "evidence_ids": ["E1"],
    "ruled_out": [{"cause": "killed", "evidence_id": "E1", "fact": 's.crashed{unit="web"}'}],
    "target": "web",
}
STEP = {"action": "restart_service", "params": {"unit": "web"}, "why": "E1 shows the crash", "expect": "web runs"}
GOOD_PLAN: dict[str, Any] = {"summary": "restart web", "steps": [STEP]}
PROSE = "I believe that the web service has crashed. You may want to restart it."
FENCED = f"<think>{{maybe?}}</think>Here it is:\n```json\n{json.dumps(GOOD)}\n```"
NO_FORMAT = "response_format is not supported by this model"
NO_TOOLS = "tools are not supported by this model"


def reasoner(server: ScriptedServer, **settings: Any) -> LlmReasoner:
    given: dict[str, Any] = {
        "model": "tiny",
        "base_url": server.base_url,
        "timeout_seconds": 10,
        "max_retries": 0,
    } | settings
    return LlmReasoner(LlmSettings(**given))


def with_fallback(server: ScriptedServer, **settings: Any) -> FallbackReasoner:
    return FallbackReasoner(reasoner(server, **settings), RunbookReasoner())


async def test_a_server_with_json_schema_gives_a_diagnosis_in_one_call() -> None:
    with serving(answer(GOOD)) as server:
        llm = reasoner(server)
        diagnosis = await llm.diagnose(diagnosis_request())
    assert diagnosis.suspected_cause == "crashed"
    assert diagnosis.issue_type == "service_down"
    assert diagnosis.evidence_ids == ("E1",)
    assert diagnosis.ruled_out == {"killed": 'E1: s.crashed{unit="web"} = True'}
    assert diagnosis.author == "llm:tiny"
    [request] = server.requests
    schema = request["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["suspected_cause"]["enum"] == [
        *("crashed", "killed", "misconfigured", "faint"),
        *("unknown", "no_fault"),
    ]
    assert request["temperature"] == 0
    assert llm.method == "json_schema"


async def test_a_plan_offers_the_permitted_actions_only_and_keeps_the_models_params() -> None:
    with serving(answer(GOOD_PLAN)) as server:
        plan = await reasoner(server).plan(plan_request())
    assert [(step.action, step.params) for step in plan.steps] == [("restart_service", {"unit": "web"})]
    assert plan.author == "llm:tiny"
    schema = server.requests[0]["response_format"]["json_schema"]["schema"]
    typed, bare = schema["properties"]["steps"]["items"]["anyOf"]
    assert typed["properties"]["action"]["const"] == "restart_service"
    assert typed["properties"]["params"]["properties"]["unit"]["enum"] == ["web", "db"]
    assert bare["properties"]["action"]["enum"] == ["soft_reboot", "clear_cache"]


async def test_where_response_format_is_refused_function_calling_is_found_and_remembered() -> None:
    with serving(refusing("response_format", NO_FORMAT, answer(GOOD))) as server:
        llm = reasoner(server)
        first = await llm.diagnose(diagnosis_request())
        asked = len(server.requests)
        second = await llm.diagnose(diagnosis_request())
    assert (first.author, second.author) == ("llm:tiny", "llm:tiny")
    assert (asked, len(server.requests)) == (2, 3)
    assert llm.method == "function_calling"
    assert server.requests[-1]["tools"][0]["function"]["name"] == "DiagnosisAnswer"


async def test_where_tools_are_refused_too_json_in_text_is_asked_for() -> None:
    plain = refusing("tools", NO_TOOLS, text(FENCED))
    with serving(refusing("response_format", NO_FORMAT, plain)) as server:
        llm = reasoner(server)
        diagnosis = await llm.diagnose(diagnosis_request())
    assert diagnosis.suspected_cause == "crashed"
    assert llm.method == "json"
    assert '"suspected_cause"' in server.requests[-1]["messages"][0]["content"]


async def test_a_server_that_ignores_the_format_but_answers_json_in_text_is_understood() -> None:
    with serving(text(FENCED)) as server:
        diagnosis = await reasoner(server).diagnose(diagnosis_request())
    assert diagnosis.suspected_cause == "crashed"
    assert len(server.requests) == 1


async def test_a_pinned_method_is_the_only_one_tried() -> None:
    with (
        serving(error(400, NO_FORMAT)) as server,
        pytest.raises(ReasonerFailed, match="HTTP 400: response_format is not supported"),
    ):
        await reasoner(server, structured_output="json_schema").diagnose(diagnosis_request())
    assert len(server.requests) == 1


WRONG_CAUSE = GOOD | {"suspected_cause": "gremlins"}
UNCITED = GOOD | {"evidence_ids": ["E1", "E99"]}
REPAIRABLE = [
    pytest.param(answer(WRONG_CAUSE), "suspected_cause: Input should be 'crashed'", id="undeclared cause"),
    pytest.param(answer(UNCITED), "evidence_ids: E99 does not exist; there is E1, E2", id="evidence that is not"),
    pytest.param(answer(GOOD | {"evidence_ids": []}), "needs at least one piece of evidence", id="no evidence"),
    pytest.param(answer(GOOD | {"confidence": 85}), "confidence: Input should be less than", id="confidence of 85"),
    pytest.param(answer(GOOD | {"target": "etcd"}), "target: 'etcd' was not seen", id="invented target"),
    pytest.param(answer({"cause": "crashed"}), "no complete JSON object with suspected_cause", id="other keys"),
    pytest.param(text('{"suspected_cause": "cra'), "no complete JSON object", id="malformed JSON"),
    pytest.param(text('{"suspected_cause"', finish_reason="length"), "cut off at the limit", id="cut off"),
    pytest.param(text("", finish_reason="content_filter"), "content filter withheld", id="content filter"),
    pytest.param(text("", refusal="I can not help"), "the model refused: I can not help", id="refusal"),
]


@pytest.mark.parametrize(("bad", "reason"), REPAIRABLE)
async def test_an_invalid_answer_is_repaired_once_with_the_reason(bad: Reply, reason: str) -> None:
    with serving(bad, answer(GOOD)) as server:
        diagnosis = await with_fallback(server).diagnose(diagnosis_request())
    assert diagnosis.author == "llm:tiny"
    assert reason in server.requests[-1]["messages"][-1]["content"]
    assert len(server.requests) == 2


@pytest.mark.parametrize(("bad", "reason"), REPAIRABLE)
async def test_an_answer_that_stays_invalid_is_the_runbooks_turn(bad: Reply, reason: str) -> None:
    with serving(bad) as server:
        diagnosis = await with_fallback(server).diagnose(diagnosis_request())
    assert diagnosis.suspected_cause == "crashed"
    assert diagnosis.author.startswith("runbook (fell back from llm:tiny: invalid answer, also after one repair: ")
    assert reason in diagnosis.author
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("reply", "reason", "calls"),
    [
        pytest.param(text(PROSE), "the answer is prose", 4, id="prose only"),
        pytest.param(error(400, "unknown field"), "HTTP 400: unknown field", 3, id="400 to everything"),
        pytest.param(error(401, "wrong key"), "HTTP 401: wrong key", 1, id="401"),
        pytest.param(error(404, "no such model"), "HTTP 404: no such model", 1, id="404"),
        pytest.param(error(429, "slow down"), "HTTP 429: slow down", 1, id="429"),
        pytest.param(error(500, "out of memory"), "HTTP 500: out of memory", 1, id="500"),
        pytest.param(raw(503, b"<html>busy</html>", "text/html"), "HTTP 503: <html>busy</html>", 1, id="503 in HTML"),
        pytest.param(raw(200, b"<html>hello</html>", "text/html"), "unreadable answer", 1, id="200 in HTML"),
        pytest.param(raw(200, b"{]"), "unreadable answer", 1, id="200, no JSON"),
        pytest.param(raw(200, b'{"choices": []}'), "unreadable answer", 1, id="200, no choices"),
        pytest.param(raw(200, b'{"choices": null}'), "unreadable answer", 1, id="200, null"),
    ],
)
async def test_a_server_that_does_not_answer_the_question_is_the_runbooks_turn(
    reply: Reply, reason: str, calls: int
) -> None:
    with serving(reply) as server:
        fallback = with_fallback(server)
        diagnosis = await fallback.diagnose(diagnosis_request())
    assert diagnosis.suspected_cause == "crashed"
    assert diagnosis.author.startswith("runbook (fell back from llm:tiny: ")
    assert reason in diagnosis.author
    assert len(diagnosis.author) < 250
    assert len(server.requests) == calls


async def test_a_hanging_server_costs_the_timeout_and_no_more() -> None:
    with serving(hang()) as server:
        diagnosis = await with_fallback(server, timeout_seconds=0.3, max_retries=2).diagnose(diagnosis_request())
    assert diagnosis.author == "runbook (fell back from llm:tiny: timed out after 0.3 s)"


async def test_a_server_that_is_not_there_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        llm = LlmReasoner(LlmSettings(model="tiny", base_url=url, max_retries=0))
        with pytest.raises(ReasonerFailed, match="no connection"):
            await llm.diagnose(diagnosis_request())


async def test_a_passing_429_is_retried_as_the_server_asks() -> None:
    with serving(error(429, "slow down", {"retry-after-ms": "1"}), answer(GOOD)) as server:
        diagnosis = await with_fallback(server, max_retries=1).diagnose(diagnosis_request())
    assert diagnosis.author == "llm:tiny"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(tool_call('{"suspected_cause": "cra'), "not valid JSON", id="malformed arguments"),
        pytest.param(tool_call("{}", name="search"), "the tool 'search' was called", id="wrong tool"),
        pytest.param(text(PROSE), "the answer is prose", id="prose instead of a call"),
    ],
)
async def test_a_bad_tool_call_is_repaired_once(bad: Reply, reason: str) -> None:
    with serving(bad, answer(GOOD)) as server:
        diagnosis = await reasoner(server, structured_output="function_calling").diagnose(diagnosis_request())
    assert diagnosis.author == "llm:tiny"
    assert reason in server.requests[-1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([STEP | {"params": {"unit": "web", "force": True}}], "steps.0.restart_service.params.force: Extra"),
        ([STEP, STEP | {"params": {}}], "steps.1.restart_service.params.unit: Field required"),
        ([STEP | {"action": "rm -rf /"}], "steps.0: Input tag 'rm -rf /' found"),
        ([STEP] * 20, "steps: List should have at most"),
    ],
)
async def test_a_plan_of_undeclared_actions_or_params_never_comes_through(
    steps: list[dict[str, Any]], reason: str
) -> None:
    with serving(answer({"summary": "do it", "steps": steps})) as server:
        plan = await with_fallback(server).plan(plan_request())
    assert [(step.action, step.params) for step in plan.steps] == [("restart_service", {"unit": "web"})]
    assert plan.author.startswith("runbook (fell back from llm:tiny: invalid answer")
    assert reason in plan.author
    assert reason in server.requests[-1]["messages"][-1]["content"]


async def test_a_plan_cut_off_in_its_steps_is_not_taken_for_a_whole_one() -> None:
    cut = '{"summary": "restart all", "steps": [{"action": "clear_cache", "params": {}, "why": "E1"}, {"action": "rest'
    with serving(text(cut)) as server:
        plan = await with_fallback(server).plan(plan_request())
    assert plan.steps[0].action == "restart_service"
    assert "fell back" in plan.author


@pytest.mark.parametrize("cause", ["unknown", "no_fault", "misconfigured"])
async def test_a_model_is_not_asked_where_no_declared_action_would_help(cause: str) -> None:
    with serving(answer(GOOD_PLAN)) as server:
        plan = await reasoner(server).plan(plan_request(cause))
    assert plan.steps == ()
    assert plan.author == "runbook"
    assert server.requests == []


async def test_a_cause_without_named_target_gets_the_one_its_signature_points_at() -> None:
    with serving(answer(GOOD | {"target": None})) as server:
        diagnosis = await reasoner(server).diagnose(diagnosis_request())
    assert diagnosis.target == "web"


async def test_what_failed_before_is_told_to_the_model() -> None:
    attempts = [attempt(1, "crashed", "restart_service", why="crashed again after 4 s")]
    with serving(answer(GOOD)) as server:
        await reasoner(server).diagnose(diagnosis_request(attempts=attempts))
    assert "crashed again after 4 s" in server.requests[0]["messages"][1]["content"]


@pytest.fixture
def langsmith_in_reach(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A LangSmith that would be sent to, had tracing been asked for."""
    with serving(raw(200, b"{}")) as langsmith:
        monkeypatch.setenv("LANGSMITH_ENDPOINT", langsmith.base_url)
        monkeypatch.setenv("LANGSMITH_API_KEY", "key")
        for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2"):
            monkeypatch.delenv(name, raising=False)
        yield langsmith


async def test_nothing_is_traced_unless_asked_for(langsmith_in_reach: ScriptedServer) -> None:
    from langchain_core.tracers.langchain import wait_for_all_tracers

    with serving(answer(GOOD)) as server:
        await reasoner(server).diagnose(diagnosis_request())
        wait_for_all_tracers()
    assert langsmith_in_reach.requests == []


def test_openais_own_server_wants_a_key_and_others_do_not() -> None:
    with pytest.raises(ValidationError, match="needs `api_key`, or give a `base_url`"):
        LlmSettings(model="gpt-4.1")
    assert LlmSettings(model="tiny", base_url="http://127.0.0.1:1/v1").api_key is None


async def test_a_given_key_is_sent_and_shown_nowhere() -> None:
    with serving(answer(GOOD)) as server:
        llm = reasoner(server, api_key="very-secret")
        await llm.diagnose(diagnosis_request())
    assert server.headers[0]["authorization"] == "Bearer very-secret"
    assert "very-secret" not in repr(llm.settings)
