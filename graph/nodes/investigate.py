"""Answer one question of the reasoner by a read-only tool: one call a super-step, on the record like all evidence."""

from __future__ import annotations

from graph.doing import on_behalf_of
from graph.nodes.observing import observe
from graph.nodes.wrapper import Leg
from graph.ports import Deps, Finding, Inquiry, InvalidInquiry
from graph.records import Evidence, Incident
from graph.rules.inquiries import answered_before, left_of, next_inquiry
from graph.state import Heal, Update


async def investigate(heal: Heal, deps: Deps, leg: Leg) -> Update:
    """The first question that waits, as evidence I1, I2, … (I2.1, I2.2, … in the second attempt). What was asked before
    is answered from the record, and what can't be asked is answered with why."""
    inquiry = next_inquiry(heal.inquiries)
    assert inquiry is not None, "only what waits is investigated"
    if (before := answered_before(inquiry, heal.inquiries)) is not None:
        return {"inquiries": _answered(heal, inquiry, before, repeated=True)}
    prefix = "I" if heal.attempt == 1 else f"I{heal.attempt}."
    evidence_id = f"{prefix}{sum(item.id.startswith(prefix) for item in heal.evidence) + 1}"
    evidence = await _ask(inquiry, heal, deps, evidence_id)
    return {"evidence": (*heal.evidence, evidence), "inquiries": _answered(heal, inquiry, evidence_id)}


async def _ask(inquiry: Inquiry, heal: Heal, deps: Deps, evidence_id: str) -> Evidence:
    left = left_of(deps.settings.inquiries, heal.inquiries, heal.evidence)
    try:
        if deps.inquiries is None:
            raise InvalidInquiry("there are no tools to ask")
        source = deps.inquiries.source(heal.incident, inquiry, left.bytes_per_result)
    except InvalidInquiry as error:
        source = _Impossible(inquiry.tool, str(error))
    with on_behalf_of(heal.incident.id, "evidence"):
        return await observe(source, heal.incident, deps, evidence_id, left.seconds)


def _answered(heal: Heal, inquiry: Inquiry, evidence_id: str, repeated: bool = False) -> tuple[Inquiry, ...]:
    done = inquiry.model_copy(update={"evidence_id": evidence_id, "repeated": repeated})
    index = heal.inquiries.index(inquiry)
    return (*heal.inquiries[:index], done, *heal.inquiries[index + 1 :])


class _Impossible:
    """Answers that the question can't be asked: the reasoner should know, and so should who reads the record."""

    deadline_seconds = 1.0

    def __init__(self, tool: str, reason: str) -> None:
        self.name = tool
        self._reason = reason

    async def gather(self, incident: Incident) -> Finding:
        return Finding(asked=self.name, text=self._reason, status="failed")
