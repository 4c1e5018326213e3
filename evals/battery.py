"""What a model would most likely ask of a resource in trouble, asked while the trouble is there.

A recording of a heal has only what was asked then. With these answers beside it a model can be measured that asks
otherwise. It only reads, by the very tools that reasoners have, and never takes longer than MOST_SECONDS. Of an answer
the text is kept, which is all that a model would have seen of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, get_args

from agents import known_kinds
from evals.case import Recorded
from graph.ports import Finding, Inquiries, Inquiry, InquirySpec, InvalidInquiry, PermanentError, TemporaryError
from graph.records import Alert, Incident, Resource
from server.settings import Settings
from server.wiring import Tools, open_tools
from tools.clients.prometheus import PrometheusClient, matchers
from tools.evidence.metrics import history_queries
from tools.redaction import redact

MOST_CALLS = 90
MOST_SECONDS = 120.0
AT_ONCE = 4
"""More at a time would be trouble of its own for a host that is in some."""
_WINDOWS = (10, 30, 60, 360)
_RANGES = (30, 60)
_OF_THE_SERVER = ("changes",)
"""It tells of earlier incidents: this process does not know the server's store, and would say that there are none."""


async def ask(settings: Settings, record: Mapping[str, Any]) -> tuple[Recorded, ...]:
    """The answers, in the order of the questions; what fails or comes too late is recorded as failed. `record` is the
    incident's as the server tells it. Nothing where the incident is of no declared resource. Raises ConfigError."""
    incident = incident_of(record)
    kind = known_kinds().get(incident.resource_kind)
    if incident.resource is None or kind is None:
        return ()
    async with open_tools(settings) as tools:
        inquiries = tools.inquiries(kind)
        questions = await _questions(tools, inquiries, incident)
        return await _answers(inquiries, incident, questions, settings.heal_settings.inquiries.bytes_per_result)


def incident_of(record: Mapping[str, Any]) -> Incident:
    """The incident of a server's record."""
    resource = record.get("resource")
    return Incident(
        id=record["id"],
        number=record["number"],
        resource_kind=record["resource_kind"],
        resource_id=record["resource_id"],
        issue_types=tuple(record["issue_types"]),
        alerts=tuple(Alert.model_validate(alert) for alert in record["alerts"]),
        received_at=record["received_at"],
        resource=Resource.model_validate(resource) if resource else None,
    )


async def _questions(tools: Tools, inquiries: Inquiries, incident: Incident) -> list[Inquiry]:
    specs = inquiries.specs(incident)
    queries: dict[str, bool] = {}
    if any(spec.name.startswith("prometheus_") for spec in specs):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MOST_SECONDS / 4):
                await _find_queries(tools.prometheus, incident, queries)
    asked = [Inquiry(tool=spec.name, params=params) for spec in specs for params in possible(spec, queries)]
    return asked[:MOST_CALLS]


def possible(spec: InquirySpec, queries: Mapping[str, bool]) -> Iterator[dict[str, Any]]:
    """The arguments to ask a tool with. `queries` are PromQL, with whether their history is worth a look."""
    match spec.name:
        case "logs":
            for minutes in _WINDOWS:
                for unit in choices(spec, "unit"):
                    yield {"unit": unit, "minutes": minutes, "contains": ""}
        case "host_probe":
            yield from ({"probe": probe} for probe in choices(spec, "probe") if probe not in _OF_THE_SERVER)
        case "database_view":
            yield from ({"view": view} for view in choices(spec, "view"))
        case "prometheus_range":
            for minutes in _RANGES:
                yield from (
                    {"query": query, "minutes": minutes, "until": "now"} for query, lasts in queries.items() if lasts
                )
        case "prometheus_instant":
            yield from ({"query": query, "until": "now"} for query in queries)
        case _:  # a tool that can be asked without arguments
            if not any(field.is_required() for field in spec.params.model_fields.values()):
                yield spec.params().model_dump(mode="json")


def choices(spec: InquirySpec, name: str) -> tuple[str, ...]:
    """What a param may be, where it is one of a list."""
    return tuple(str(choice) for choice in get_args(spec.params.model_fields[name].annotation))


async def _find_queries(prometheus: PrometheusClient, incident: Incident, found: dict[str, bool]) -> None:
    """The alerts' own expressions and the usual series of the host, by each way to pick them that finds some."""
    for alert in incident.alerts:
        with contextlib.suppress(TemporaryError, PermanentError):
            if expression := await prometheus.expression(alert):
                found[expression[:500]] = True
    for selection in await _selections(prometheus, incident):
        found |= {f"ALERTS{{{selection}}}": False, f"up{{{selection}}}": True}
        found |= dict.fromkeys(history_queries(selection).values(), True)
        found |= {f"node_load1{{{selection}}}": True, f"node_memory_MemAvailable_bytes{{{selection}}}": True}


async def _selections(prometheus: PrometheusClient, incident: Incident) -> list[str]:
    """As somebody would pick the host's series who sees the resource and the alerts."""
    instances = {alert.labels["instance"] for alert in incident.alerts if alert.labels.get("instance")}
    tried = [matchers({"resource_id": incident.resource_id})]
    tried += [matchers({"instance": instance}) for instance in sorted(instances)]
    answered = []
    for selection in tried:
        with contextlib.suppress(TemporaryError, PermanentError):
            if await prometheus.instant(f"up{{{selection}}}"):
                answered.append(selection)
    return answered or tried[:1]


async def _answers(
    inquiries: Inquiries, incident: Incident, questions: list[Inquiry], max_chars: int
) -> tuple[Recorded, ...]:
    turns = asyncio.Semaphore(AT_ONCE)
    until = time.monotonic() + MOST_SECONDS

    async def one(question: Inquiry) -> Recorded | None:
        async with turns:
            return await _answer(inquiries, incident, question, max_chars, until - time.monotonic())

    answers = await asyncio.gather(*(one(question) for question in questions))
    return tuple(answer for answer in answers if answer is not None)


async def _answer(
    inquiries: Inquiries, incident: Incident, question: Inquiry, max_chars: int, left: float
) -> Recorded | None:
    """None where nobody was asked: the tool turns the question down, as it will in the replay, or no time is left."""
    if left <= 0:
        return None
    try:
        source = inquiries.source(incident, question, max_chars)
    except InvalidInquiry:
        return None
    began, at = time.monotonic(), datetime.now(incident.received_at.tzinfo)
    try:
        async with asyncio.timeout(min(source.deadline_seconds, left)):
            found = await source.gather(incident)
    except TimeoutError:
        found = Finding(question.tool, f"no answer within {source.deadline_seconds:g} s", status="failed")
    except Exception as error:  # whatever a tool may raise: it is recorded, as a heal would have
        reason = redact(f"{type(error).__name__}: {error}".removesuffix(": "))
        found = Finding(question.tool, reason[:200], status="failed")
    return Recorded(
        tool=question.tool,
        params=question.params,
        inquiry=True,
        asked=found.asked,
        at_seconds=round((at - incident.received_at).total_seconds(), 3),
        took_seconds=round(time.monotonic() - began, 3),
        status=found.status,
        text=found.text,
        facts=dict(found.facts),
    )
