"""What a model adds to the runbook: it looks where nobody had looked, and the proof is the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents.legs import Finished, LegEnd
from agents.reasoning.fallback import FallbackReasoner
from agents.reasoning.llm import LlmReasoner, LlmSettings
from agents.reasoning.runbook import RunbookReasoner
from evals.openai_server import answer, serving
from graph.ports import InquiryLimits
from tests.flow.story import Story, crashed_web
from tests.nodes.test_investigate import Tools

GUESS: dict[str, Any] = {"suspected_cause": "unknown", "summary": "not yet", "confidence": 0, "evidence_ids": []}
ASK = {"tool": "look", "params": {}, "why": "no source told of the unit"}
FOUND = {"suspected_cause": "crashed", "summary": "web crashed", "confidence": 0.8, "evidence_ids": ["I1"]}
PLAN = {"summary": "restart it", "steps": [{"action": "restart", "params": {"unit": "web"}, "why": "I1 shows it"}]}


def story() -> Story:
    """A crash that none of the gathered evidence shows, and a tool that would."""
    made = Story(facts={"load": 0.1})
    made.inquiries = Tools(crashed_web())
    made.settings = replace(made.settings, looks=1, inquiries=InquiryLimits(bytes_per_result=800))
    return made


def outcome(end: LegEnd) -> str:
    assert isinstance(end, Finished)
    return end.outcome.status


async def test_where_the_runbook_alone_calls_a_human_a_model_that_looks_first_finds_and_mends_it() -> None:
    alone = story()
    alone.reasoner = RunbookReasoner()
    assert outcome(await alone.heal()) == "escalated"
    assert alone.actions.ran == []

    with serving(answer(GUESS | {"ask": [ASK]}), answer(FOUND), answer(PLAN)) as server:
        model = LlmReasoner(LlmSettings(model="tiny", base_url=server.base_url, structured_output="json_schema"))
        looking = story()
        looking.reasoner = FallbackReasoner(model, RunbookReasoner())
        assert outcome(await looking.heal()) == "mitigated"
    assert looking.actions.ran == ["restart"]
    [diagnosed] = [entry for entry in looking.chronicle.entries.values() if "suspects crashed" in entry.sentence]
    assert diagnosed.author == "llm:tiny" and diagnosed.sentence.endswith("[I1]")


async def test_what_a_model_knows_without_looking_is_not_believed() -> None:
    with serving(answer(FOUND | {"evidence_ids": ["E1"]})) as server:
        model = LlmReasoner(LlmSettings(model="tiny", base_url=server.base_url, structured_output="json_schema"))
        guessing = story()
        guessing.reasoner = FallbackReasoner(model, RunbookReasoner())
        assert outcome(await guessing.heal()) == "escalated"
        repaired = server.requests[1]["messages"][-1]["content"]
    assert "no fact speaks for crashed" in repaired
    assert guessing.actions.ran == []
