"""Facts of all evidence together: what was looked at again counts as it is now."""

from __future__ import annotations

from datetime import UTC, datetime

from graph.facts import FactValue
from graph.records import Evidence, facts_of

AT = datetime(2026, 1, 1, tzinfo=UTC)


def seen(id: str, **facts: FactValue) -> Evidence:
    return Evidence(id=id, source="units", asked="?", observed_at=AT, facts=facts)


def test_what_an_inquiry_found_otherwise_supersedes_what_was_gathered() -> None:
    facts = facts_of([seen("E1", state="failed", load=3), seen("I1", state="running")])
    assert [(fact.value, fact.evidence_id) for fact in facts.all("state")] == [("running", "I1")]
    assert facts.value("load") == 3


def test_what_an_inquiry_found_again_counts_once() -> None:
    facts = facts_of([seen("E1", state="failed"), seen("I1", state="failed")])
    assert [fact.evidence_id for fact in facts.all("state")] == ["I1"]


def test_the_last_of_several_inquiries_counts() -> None:
    facts = facts_of([seen("I1", state="failed"), seen("I2", state="running")])
    assert [fact.evidence_id for fact in facts.all("state")] == ["I2"]


def test_two_sources_that_were_gathered_together_may_differ() -> None:
    facts = facts_of([seen("E1", state="failed"), seen("E2", state="running")])
    assert [fact.evidence_id for fact in facts.all("state")] == ["E1", "E2"]
