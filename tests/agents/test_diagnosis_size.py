"""What a whole diagnosis costs: three calls of a model that asks two tools first, on incidents recorded in the lab.

Tokens are counted by length, of all that is sent and answered. A real tokenizer counts about a tenth more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from pydantic import TypeAdapter

from agents import known_kinds
from agents.reasoning.answers import asking_answer, diagnosis_answer, schema_of, tool_of
from agents.reasoning.ledger import CHARS_PER_TOKEN
from agents.reasoning.render import load_prompt, render_diagnosis
from graph.fakes import FakeClock, FakeHealth
from graph.ports import DiagnosisRequest, Inquiry, InquiryLimits
from graph.records import Evidence, Incident
from tests.agents.test_prompt_size import NoPast
from tools.clients.memory import MemoryHosts
from tools.clients.providers.memory import MemoryProvider
from tools.evidence.context import EvidenceContext
from tools.inquiries import InquiryTools

MOST_TOKENS = 10_000
RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))
LIMITS = InquiryLimits()


@dataclass(frozen=True)
class Recorded:
    """An incident as it was when it was diagnosed: its evidence with what two questions brought, and all answers."""

    incident: Incident
    evidence: tuple[Evidence, ...]
    inquiries: tuple[Inquiry, ...]
    lore: str
    answers: tuple[str, ...]

    def request(self, asked: int) -> DiagnosisRequest:
        """The request once so many questions are answered, with every tool that applies."""
        context = EvidenceContext(
            MemoryHosts(),
            FakeClock(),
            FakeHealth(((),)),
            prometheus=object(),  # type: ignore[arg-type]
            providers={"ec2": MemoryProvider({})},
            history=NoPast(),
            databases={"postgresql": object()},  # type: ignore[dict-item]
        )
        kinds = known_kinds()
        tools = InquiryTools(context, {each.name: each.sources for each in kinds.values()}).specs(self.incident)
        answered = {inquiry.evidence_id for inquiry in self.inquiries[:asked]}
        evidence = [item for item in self.evidence if not item.answers_inquiry or item.id in answered]
        kind = kinds[self.incident.resource_kind]
        return DiagnosisRequest(self.incident, kind, evidence, (), self.inquiries[:asked], tools, LIMITS)


Tools = Callable[[DiagnosisRequest], list[dict[str, Any]]]
"""How tools are offered, as it goes over the wire."""


def read(path: Path) -> Recorded:
    return TypeAdapter(Recorded).validate_json(path.read_text(encoding="utf-8"))


@pytest.fixture(params=RECORDED, ids=lambda path: path.stem)
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return read(request.param)


def in_the_answer(request: DiagnosisRequest) -> list[dict[str, Any]]:
    return [schema_of(asking_answer(diagnosis_answer(request.kind), request.tools))]


def as_functions(request: DiagnosisRequest) -> list[dict[str, Any]]:
    return [schema_of(diagnosis_answer(request.kind)), *(tool_of(tool) for tool in request.tools)]


def tokens(recorded: Recorded, tools: Tools) -> float:
    """Of all three calls."""
    assert len(recorded.answers) == 3 and len(recorded.inquiries) == 2
    texts = list(recorded.answers)
    for asked in range(3):
        request = recorded.request(asked)
        texts += [text for _, text in render_diagnosis(request, load_prompt("diagnose"), recorded.lore)]
        texts += [json.dumps(part, separators=(",", ":")) for part in tools(request)]
    return sum(map(len, texts)) / CHARS_PER_TOKEN


@pytest.mark.parametrize("tools", [in_the_answer, as_functions])
def test_a_diagnosis_that_asks_two_tools_first_stays_within_its_tokens(tools: Tools) -> None:
    counted = {path.stem: tokens(read(path), tools) for path in RECORDED}
    assert median(counted.values()) < MOST_TOKENS, counted
    assert max(counted.values()) < 1.1 * MOST_TOKENS, counted


def test_what_every_call_of_a_diagnosis_begins_with_is_the_same(recorded: Recorded) -> None:
    begun = [render_diagnosis(recorded.request(asked), load_prompt("diagnose"), recorded.lore)[0] for asked in range(3)]
    assert begun[0] == begun[1] == begun[2]


def test_all_that_was_asked_for_is_told_whole(recorded: Recorded) -> None:
    request = recorded.request(2)
    [_, (_, human)] = render_diagnosis(request, load_prompt("diagnose"), recorded.lore)
    answers = [item for item in recorded.evidence if item.answers_inquiry]
    assert len(answers) == 2
    for item in answers:
        assert f"[{item.id}] {item.source} {item.status}" in human
        assert item.text.strip() in human
        assert all(f"{key} = {value}" in human for key, value in item.facts.items())
