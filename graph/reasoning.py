"""What a reasoner is asked and what it may answer: a diagnosis, a plan, or that it wants to see more first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, Field

from graph.kind import ActionSpec, ResourceKind
from graph.record import Record
from graph.records import Attempt, Diagnosis, Evidence, Incident, Plan


class Inquiry(Record):
    """One question to a read-only tool. `evidence_id` names the evidence that answers it; empty while it waits."""

    tool: str = Field(max_length=100)
    params: dict[str, Any] = Field(default_factory=dict)
    why: str = ""
    evidence_id: str = ""
    repeated: bool = False
    """The very same was asked before: that evidence answers it, and nobody was asked again."""

    def same_as(self, other: Inquiry) -> bool:
        """Whether both ask the same."""
        return (self.tool, self.params) == (other.tool, other.params)


@dataclass(frozen=True)
class InquirySpec:
    """A read-only tool: `params` validates its arguments, and says what is possible on this resource."""

    name: str
    summary: str
    params: type[BaseModel]


@dataclass(frozen=True)
class InquiryLimits:
    """What one diagnosis may ask for: whole numbers of calls and tokens (of the model, since the diagnosis began), time
    for all answers together, and UTF-8 bytes of one answer as the model sees it. 0 calls: nothing may be asked."""

    calls: int = 6
    tokens: int = 30_000
    seconds: float = 45.0
    bytes_per_result: int = 1_500


@dataclass(frozen=True)
class Asks:
    """A reasoner's wish to see more before it says what is wrong, most telling first."""

    inquiries: tuple[Inquiry, ...]


@dataclass(frozen=True)
class DiagnosisRequest:
    """What a reasoner gets to say what is wrong.

    `inquiries` were answered already; `tools` may be asked, for as long as `left` has something of everything.
    """

    incident: Incident
    kind: ResourceKind
    evidence: Sequence[Evidence]
    attempts: Sequence[Attempt] = ()
    inquiries: Sequence[Inquiry] = ()
    tools: Sequence[InquirySpec] = ()
    left: InquiryLimits = InquiryLimits(calls=0)


@dataclass(frozen=True)
class PlanRequest:
    """What a reasoner gets to say what to do. `objections` are why its earlier answers to this very request were
    turned down, oldest first."""

    incident: Incident
    kind: ResourceKind
    evidence: Sequence[Evidence]
    diagnosis: Diagnosis
    attempts: Sequence[Attempt] = ()
    actions: Sequence[ActionSpec] = ()
    objections: Sequence[str] = ()


class Reasoner(Protocol):
    """Diagnoses and plans. Must not raise for what a model or server may do wrong; see `agents.reasoning.fallback`."""

    name: str

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis | Asks:
        """What is wrong, or what to look at first: of `request.tools` only."""

    async def plan(self, request: PlanRequest) -> Plan:
        """A draft: steps with action, params, why and expect. No steps where nothing declared would help."""
