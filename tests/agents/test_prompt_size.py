"""What every call costs before a word of evidence: prompt, vocabulary, schema and tools, for large resources.

Tokens are counted by the length of the JSON as the client sends it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from agents import known_kinds
from agents.reasoning.answers import asking_answer, diagnosis_answer, schema_of, tool_of
from agents.reasoning.ledger import CHARS_PER_TOKEN
from agents.reasoning.render import load_prompt, render_diagnosis
from graph.fakes import FakeClock, FakeHealth
from graph.ports import DiagnosisRequest
from graph.records import Alert, Incident, ProviderAccess, Resource, SshAccess
from graph.resources import Database
from tests.agents.reasoning_examples import AT, CRASH
from tools.clients.memory import MemoryHosts
from tools.clients.providers.memory import MemoryProvider
from tools.evidence.context import EvidenceContext
from tools.inquiries import InquiryTools

MOST_TOKENS = 2_500
SSH = SshAccess(user="ops", key_file="key", known_hosts="hosts")


class NoPast:
    async def recent(self, resource_key: str, limit: int = 5) -> Sequence[str]:
        return ()

    async def under_way(self, resource_key: str) -> str | None:
        return None


def resource(kind: str) -> Resource:
    """One with a provider, several services, and everything that makes a tool apply."""
    database = Database(engine="postgresql", cluster="orders", role="replica", port=5432, peers=("db-2",))
    return Resource(
        id="db-1",
        kind=kind,
        address="192.0.2.1",
        ssh=SSH,
        provider=ProviderAccess(name="memory", instance_id="i-1"),
        services=("nginx", "postgresql@15-main", "redis-server", "worker@1", "worker@2"),
        database=database if kind == "Database" else None,
    )


def request(kind: str) -> DiagnosisRequest:
    """With every tool that applies."""
    context = EvidenceContext(
        MemoryHosts(),
        FakeClock(),
        FakeHealth(((),)),
        prometheus=object(),  # type: ignore[arg-type]
        providers={"memory": MemoryProvider({})},
        history=NoPast(),
        databases={"postgresql": object()},  # type: ignore[dict-item]
    )
    tools = InquiryTools(context, {each.name: each.sources for each in known_kinds().values()})
    labels = {"alertname": "Down", "resource_kind": kind, "resource_id": "db-1"}
    incident = Incident(
        id="0190a0a0-0000-7000-8000-000000000001",
        number=7,
        resource_kind=kind,
        resource_id="db-1",
        issue_types=("service_down",),
        alerts=(Alert(status="firing", labels=labels),),
        received_at=AT,
        resource=resource(kind),
    )
    return replace(DiagnosisRequest(incident, known_kinds()[kind], CRASH), tools=tools.specs(incident))


def size(*parts: Any) -> float:
    texts = (part if isinstance(part, str) else json.dumps(part, separators=(",", ":")) for part in parts)
    return sum(len(text) for text in texts) / CHARS_PER_TOKEN


@pytest.mark.parametrize("kind", known_kinds())
def test_a_diagnosis_with_all_its_tools_is_small_before_any_evidence(kind: str) -> None:
    asked = request(kind)
    assert len(asked.tools) >= 6, "the test is of the largest resource"
    [(_, system), _] = render_diagnosis(asked, load_prompt("diagnose"))
    answer = diagnosis_answer(asked.kind)
    as_functions = size(system, schema_of(answer), *(tool_of(tool) for tool in asked.tools))
    in_the_answer = size(system, schema_of(asking_answer(answer, asked.tools)))
    assert max(as_functions, in_the_answer) < MOST_TOKENS, (as_functions, in_the_answer)
