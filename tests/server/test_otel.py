"""Spans of a heal by OpenTelemetry: where its variables ask for it, with what they are found by, without secrets."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from evals.openai_server import answer, serving
from graph.spans import set_spans, span
from server.otel import otel_asked_for, spans_of, traced_by_otel
from tests.server.ingest import Behaviour, ingesting
from tests.server.test_tracing import DIAGNOSIS
from tests.server.traced import SECRETS, LeakyStory, mitigated

VARIABLES = (
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"),
    *("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_TIMEOUT"),
)


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield monkeypatch
    set_spans(None)


@pytest.fixture
def memory() -> Iterator[InMemorySpanExporter]:
    """Spans are made, and kept here."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    set_spans(spans_of(provider.get_tracer("test")))
    yield exporter
    set_spans(None)


def by_name(memory: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {item.name: item for item in memory.get_finished_spans()}


async def test_nodes_evidence_actions_and_calls_of_the_model_are_spans_of_their_heal(
    memory: InMemorySpanExporter,
) -> None:
    with serving(answer(DIAGNOSIS)) as model:
        assert mitigated(await LeakyStory(model).heal())
    spans = by_name(memory)
    heal, node, action = (
        spans["selfheal.heal Instance"],
        spans["selfheal.node execute"],
        spans["selfheal.action restart"],
    )
    assert {"selfheal.node gather_context", "selfheal.node diagnose", "selfheal.model"} <= set(spans)
    evidence = spans["selfheal.evidence units"]
    assert evidence.attributes is not None and action.attributes is not None and node.parent is not None
    assert dict(evidence.attributes) == {
        "selfheal.incident_id": "0190d0a0-0000-7000-8000-000000000001",
        "selfheal.incident_number": 1,
        "selfheal.kind": "Instance",
        "selfheal.attempt": 1,
        "selfheal.node": "gather_context",
        "selfheal.source": "units",
        "selfheal.evidence": "E1",
        "selfheal.status": "observed",
    }
    assert action.attributes["selfheal.action"] == "restart"
    assert action.attributes["selfheal.status"] == "succeeded"
    assert action.parent is not None and action.parent.span_id == node.context.span_id
    assert node.context.trace_id == heal.context.trace_id


async def test_an_exception_is_recorded_without_what_it_quotes(memory: InMemorySpanExporter) -> None:
    await LeakyStory().heal()
    failed = by_name(memory)["selfheal.evidence journal"]
    assert failed.status.description == "login failed: password=[redacted]"
    [event] = failed.events
    assert event.attributes is not None
    assert event.attributes["exception.type"] == "RuntimeError"
    assert not any(secret in item.to_json() for item in memory.get_finished_spans() for secret in SECRETS.values())


async def test_a_heal_that_waits_for_a_human_is_no_error(memory: InMemorySpanExporter) -> None:
    story = LeakyStory()
    story.policies = ()
    await story.heal()
    asked = by_name(memory)["selfheal.node approve"]
    assert asked.attributes is not None and asked.attributes["selfheal.status"] == "rests"
    assert asked.status.is_unset or asked.status.is_ok


def test_names_and_attributes_are_redacted(memory: InMemorySpanExporter) -> None:
    with span("asking token=hunter2", url="http://a:hunter2@b") as current:
        current.note(said="password=hunter2")
    [made] = memory.get_finished_spans()
    assert "hunter2" not in made.to_json()


async def test_spans_arrive_at_a_collector_without_secrets(unset: pytest.MonkeyPatch) -> None:
    with ingesting() as collector:
        unset.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        async with traced_by_otel():
            assert mitigated(await LeakyStory().heal())
    assert set(collector.paths) == {"/v1/traces"}
    for expected in ("selfheal.node gather_context", "selfheal.incident_id", "selfheal.action restart", "[redacted]"):
        assert expected in collector.text
    assert not any(secret in collector.text for secret in SECRETS.values())


@pytest.mark.parametrize("behaviour", ["fails", "refuses", "hangs"])
async def test_a_heal_does_not_mind_a_collector_that(unset: pytest.MonkeyPatch, behaviour: Behaviour) -> None:
    with ingesting(behaviour) as collector:
        unset.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        unset.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        async with traced_by_otel():
            assert mitigated(await LeakyStory().heal())


async def test_no_span_is_made_where_no_variable_asks_for_it(unset: pytest.MonkeyPatch) -> None:
    with ingesting() as collector:
        async with traced_by_otel():
            assert mitigated(await LeakyStory().heal())
    assert collector.paths == []


async def test_what_is_asked_for_but_not_installed_is_told_with_the_remedy(
    unset: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unset.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    unset.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    async with traced_by_otel():
        assert mitigated(await LeakyStory().heal())
    assert "pip install 'selfheal[otel]'" in caplog.text


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]
)
async def test_an_exporter_or_protocol_that_is_not_ours_is_told(
    unset: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    unset.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    unset.setenv(name, value)
    async with traced_by_otel():
        pass
    assert f"{name}={value}: spans are sent by OTLP over HTTP only" in caplog.text


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
    ],
)
def test_it_is_asked_for_by_the_standard_variables(
    unset: pytest.MonkeyPatch, given: dict[str, str], asked: bool
) -> None:
    for name, value in given.items():
        unset.setenv(name, value)
    assert otel_asked_for() is asked
