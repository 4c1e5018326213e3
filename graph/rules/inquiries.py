"""How much a reasoner may still ask before it has to say what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from graph.reasoning import Inquiry, InquiryLimits
from graph.records import Evidence


def next_inquiry(inquiries: Sequence[Inquiry]) -> Inquiry | None:
    """The first that waits for its answer, or None."""
    return next((inquiry for inquiry in inquiries if not inquiry.evidence_id), None)


def answered_before(inquiry: Inquiry, inquiries: Sequence[Inquiry]) -> str | None:
    """The id of the evidence that answered the very same question, or None."""
    same = (earlier for earlier in inquiries if earlier.evidence_id and earlier.same_as(inquiry))
    return next((earlier.evidence_id for earlier in same), None)


def left_of(limits: InquiryLimits, inquiries: Sequence[Inquiry], evidence: Sequence[Evidence]) -> InquiryLimits:
    """What is left of calls and seconds. Tokens are counted by who spends them. Repeated questions cost nobody anything
    but count, so that a reasoner that asks in circles comes to an end."""
    asked_for = {inquiry.evidence_id for inquiry in inquiries}
    spent = sum(item.seconds for item in evidence if item.id in asked_for)
    seconds = max(0.0, limits.seconds - spent)
    calls = max(0, limits.calls - len(inquiries)) if seconds > 0 else 0
    return InquiryLimits(calls, limits.tokens, seconds, limits.bytes_per_result)
