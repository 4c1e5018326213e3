"""diagnose ⇄ investigate: one call a super-step, bounded, on the record, and asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from agents.legs import Finished
from graph.facts import FactValue
from graph.fakes import FakeReasoner, FakeSource
from graph.ports import (
    Asks,
    DiagnosisRequest,
    EvidenceSource,
    Finding,
    Inquiry,
    InquiryLimits,
    InquirySpec,
    InvalidInquiry,
)
from graph.records import Diagnosis, Incident
from tests.flow.story import Story

LONG = "x" * 900


@dataclass
class Curious(FakeReasoner):
    """Asks these questions, a batch a time, and then answers as the fake does; keeps what it was shown."""

    batches: list[Sequence[Inquiry]] = field(default_factory=list)
    shown: list[DiagnosisRequest] = field(default_factory=list)

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis | Asks:
        self.shown.append(request)
        if self.batches:
            return Asks(tuple(self.batches.pop(0)))
        return await super().diagnose(request)


class Look(BaseModel):
    at: str = ""


@dataclass
class Tools:
    """One tool, `look`, whose answers are counted."""

    facts: dict[str, FactValue] = field(default_factory=dict)
    asked: list[dict[str, object]] = field(default_factory=list)
    seconds: float = 0.0

    def specs(self, incident: Incident) -> tuple[InquirySpec, ...]:
        return (InquirySpec("look", "look at it", Look),)

    def source(self, incident: Incident, inquiry: Inquiry, max_chars: int) -> EvidenceSource:
        if inquiry.params.get("at") == "nothing":
            raise InvalidInquiry("at: must be something")
        self.asked.append(inquiry.params)
        source = FakeSource("look", self.facts)
        found = Finding(asked=f"look {inquiry.params}", text=LONG[:max_chars], facts=self.facts, raw="raw")

        async def gather(incident: Incident) -> Finding:
            await asyncio.sleep(self.seconds)
            return found

        source.gather = gather  # type: ignore[method-assign]
        return source


def story_of(reasoner: Curious, tools: Tools, limits: InquiryLimits | None = None) -> Story:
    story = Story()
    story.reasoner, story.inquiries = reasoner, tools
    story.settings = replace(story.settings, looks=1, inquiries=limits or InquiryLimits(bytes_per_result=800))
    return story


def look(at: str) -> Inquiry:
    return Inquiry(tool="look", params={"at": at}, why="it may tell")


async def test_what_a_reasoner_asks_becomes_evidence_that_it_sees_whole_and_the_state_holds_short() -> None:
    reasoner, tools = Curious(batches=[[look("log")]]), Tools({"s.seen": True})
    story = story_of(reasoner, tools)
    await story.heal()
    told = [entry for entry in story.chronicle.entries.values() if entry.node == "investigate"]
    [entry] = told
    assert entry.sentence.startswith("look(at=log), as it may tell answered")
    [*_, asked] = entry.records["evidence"]
    assert (asked["id"], asked["source"], asked["facts"]) == ("I1", "look", {"s.seen": True})
    assert len(asked["text"]) == 300
    first, second = reasoner.shown
    assert [item.id for item in first.evidence] == ["E1"]
    assert [item.id for item in second.evidence] == ["E1", "I1"]
    assert len(second.evidence[-1].text) == 800
    assert story.actions.ran == ["restart"]


async def test_each_question_is_a_super_step_of_its_own() -> None:
    story = story_of(Curious(batches=[[look("a"), look("b")], [look("c")]]), Tools())
    await story.heal()
    assert story.chronicle.nodes[:7] == [
        *("gather_context", "diagnose", "investigate", "investigate", "diagnose", "investigate", "diagnose"),
    ]


async def test_the_same_question_is_answered_from_the_record() -> None:
    reasoner, tools = Curious(batches=[[look("log")], [look("log")]]), Tools()
    story = story_of(reasoner, tools)
    await story.heal()
    assert tools.asked == [{"at": "log"}]
    assert [inquiry.evidence_id for inquiry in reasoner.shown[-1].inquiries] == ["I1", "I1"]
    sentences = [entry.sentence for entry in story.chronicle.entries.values() if entry.node == "investigate"]
    assert "was asked before: I1 answers it" in sentences[-1]


async def test_a_question_that_can_not_be_asked_is_answered_with_why() -> None:
    reasoner, tools = Curious(batches=[[look("nothing")]]), Tools()
    await story_of(reasoner, tools).heal()
    [*_, refused] = reasoner.shown[-1].evidence
    assert (refused.status, refused.text) == ("failed", "at: must be something")


async def test_a_reasoner_that_never_stops_asking_comes_to_an_end_and_a_human_is_called() -> None:
    reasoner = Curious(batches=[[look(f"place {n}")] for n in range(100)])
    tools = Tools()
    story = story_of(reasoner, tools, InquiryLimits(calls=3))
    end = await story.heal()
    assert len(tools.asked) == 3
    assert reasoner.shown[-1].tools == () and reasoner.shown[-1].left.calls == 0
    assert isinstance(end, Finished) and end.outcome.status == "escalated"
    assert story.actions.ran == []


async def test_questions_beyond_what_is_left_are_not_asked() -> None:
    tools = Tools()
    story = story_of(Curious(batches=[[look(str(n)) for n in range(9)]]), tools, InquiryLimits(calls=2))
    await story.heal()
    assert len(tools.asked) == 2


async def test_tools_that_were_not_offered_are_not_asked() -> None:
    tools = Tools()
    story = story_of(Curious(batches=[[Inquiry(tool="shell", params={"command": "id"})]]), tools)
    end = await story.heal()
    assert isinstance(end, Finished) and end.outcome.status == "escalated"
    assert tools.asked == []


async def test_time_for_answers_is_shared_by_all_of_them() -> None:
    slow = Tools(seconds=0.3)
    reasoner = Curious(batches=[[look("a"), look("b")]])
    story = story_of(reasoner, slow, InquiryLimits(seconds=0.1, bytes_per_result=800))
    await story.heal()
    [_, first, second] = reasoner.shown[-1].evidence
    assert (first.status, first.text) == ("failed", "no answer within 0.1 s")
    assert second.status == "failed"
