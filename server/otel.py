"""Spans by OpenTelemetry, where its own variables ask for it and the extra `otel` is installed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from graph.spans import Attributes, Span, Spans, set_spans
from server.leaving import briefly
from tools.redaction import redact

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

log = logging.getLogger("selfheal.tracing")

LEAVING_SECONDS = 5.0
TIMEOUT_SECONDS = 4.0
"""For one batch with its retries, where OTEL_EXPORTER_OTLP_TIMEOUT says nothing: by default it would be 10."""
SERVICE = "selfheal"
MAX_CHARS = 2_000
"""Of one attribute."""


@asynccontextmanager
async def traced_by_otel() -> AsyncIterator[None]:
    """Within, nodes, evidence, actions and calls of the model are spans. Nothing where nobody asked."""
    provider = await asyncio.to_thread(_make_provider) if otel_asked_for() else None
    if provider is None:
        yield
        return
    set_spans(spans_of(provider.get_tracer(SERVICE)))
    try:
        yield
    finally:
        set_spans(None)
        if not await briefly(provider.shutdown, LEAVING_SECONDS):
            log.warning("the last spans could not be sent: the OpenTelemetry collector does not answer")


def otel_asked_for() -> bool:
    """Whether OTEL_EXPORTER_OTLP_ENDPOINT (or its form for traces) or OTEL_TRACES_EXPORTER is set; `none`, or
    OTEL_SDK_DISABLED, says no."""
    given = os.environ.get
    exporter = given("OTEL_TRACES_EXPORTER", "").strip().lower()
    if given("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    return bool(exporter or given("OTEL_EXPORTER_OTLP_ENDPOINT") or given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def spans_of(tracer: Tracer) -> Spans:
    """What makes spans of this tracer: names, attributes and exceptions redacted."""

    def begin(name: str, attributes: Attributes) -> AbstractContextManager[Span]:
        return _span(tracer, name, attributes)

    return begin


@contextmanager
def _span(tracer: Tracer, name: str, attributes: Attributes) -> Iterator[Span]:
    from langgraph.errors import GraphBubbleUp
    from opentelemetry.trace import Status, StatusCode

    with tracer.start_as_current_span(
        redact(name), attributes=_told(attributes), record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield _Noted(current)
        except GraphBubbleUp:  # how LangGraph lets a heal rest
            current.set_attribute("selfheal.status", "rests")
            raise
        except Exception as error:
            # Not `record_exception`: it would send the traceback, with all it quotes, as it is.
            said = _text(str(error))
            current.add_event("exception", {"exception.type": type(error).__qualname__, "exception.message": said})
            current.set_status(Status(StatusCode.ERROR, said))
            raise


class _Noted:
    def __init__(self, current: OtelSpan) -> None:
        self._current = current

    def note(self, **attributes: str | int | float | bool) -> None:
        self._current.set_attributes(_told(attributes))


def _told(attributes: Mapping[str, str | int | float | bool]) -> Attributes:
    return {f"selfheal.{key}": _text(value) if isinstance(value, str) else value for key, value in attributes.items()}


def _text(text: str) -> str:
    return redact(text)[:MAX_CHARS]


def _make_provider() -> TracerProvider | None:
    """A provider of our own rather than the global one: libraries' spans would not be redacted."""
    if (unsupported := _unsupported()) is not None:
        log.warning("%s: spans are sent by OTLP over HTTP only, so none are", unsupported)
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("OpenTelemetry is asked for, but not installed (%s): pip install 'selfheal[otel]'", error)
        return None
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before ours.
    named = {} if _service_is_named() else {"service.name": SERVICE}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    given = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    timeout = None if any(os.environ.get(name) for name in given) else TIMEOUT_SECONDS
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=timeout)))
    log.info("spans of heals are sent by OTLP over HTTP, redacted")
    return provider


def _unsupported() -> str | None:
    """The variable that asks for another exporter or protocol than ours, or None."""
    wanted = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    given = {name: os.environ.get(name, "").strip().lower() for name in wanted}
    return next((f"{name}={value}" for name, value in given.items() if value not in ("", wanted[name])), None)


def _service_is_named() -> bool:
    attributes = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name=" in attributes
