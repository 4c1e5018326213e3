"""In-memory stand-ins for every port, shipped so that flows can be tried without any world.

They keep the promises of the ports: the journal refuses what it should, the clock only moves when told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from graph.facts import FactValue
from graph.kind import UNKNOWN_CAUSE, ActionSpec, ResourceKind
from graph.ports import (
    ActionOutput,
    AlreadyStarted,
    DiagnosisRequest,
    Entry,
    Finding,
    FleetView,
    Hold,
    InvalidStep,
    JournalRequest,
    PlanRequest,
    Probe,
    Refusal,
    Started,
)
from graph.records import (
    ActionResult,
    Approval,
    Diagnosis,
    Incident,
    JudgedBy,
    Observation,
    Plan,
    PlanStep,
    Resource,
    Stop,
    facts_of,
)


@dataclass
class FakeClock:
    """Time that moves only by sleeping or by `advance`."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class FakeSource:
    """A source that gives these facts, raises this error, or calls this function first."""

    name: str
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    error: Exception | None = None
    before: Callable[[], Any] | None = None
    deadline_seconds: float = 1.0

    async def gather(self, incident: Incident) -> Finding:
        if self.before is not None:
            await self.before()
        if self.error is not None:
            raise self.error
        return Finding(asked=f"fake {self.name}", text=f"{len(self.facts)} facts", facts=dict(self.facts), raw="raw")


@dataclass
class FakeReasoner:
    """The first cause whose signature matches, then its remedies one after the other."""

    name: str = "fake"

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        resource = request.incident.resource
        assert resource is not None
        facts = facts_of(request.evidence)
        if healthy := request.kind.no_fault(facts, resource):
            return Diagnosis(suspected_cause="no_fault", summary=healthy.summary, confidence=1, author=self.name)
        for cause in request.kind.causes:
            if match := cause.signature(facts, resource):
                cited = tuple(dict.fromkeys(fact.evidence_id for fact in match.cites))
                return Diagnosis(
                    suspected_cause=cause.name,
                    issue_type=cause.issue_type,
                    summary=match.summary,
                    confidence=match.score,
                    evidence_ids=cited,
                    target=match.target,
                    author=self.name,
                )
        return Diagnosis(suspected_cause=UNKNOWN_CAUSE, summary="nothing matches", confidence=0, author=self.name)

    async def plan(self, request: PlanRequest) -> Plan:
        cause = request.kind.cause(request.diagnosis.suspected_cause)
        resource = request.incident.resource
        assert cause is not None and resource is not None
        used = len(request.objections) + sum(a.suspected_cause == cause.name and a.acted for a in request.attempts)
        if used >= len(cause.remedies):
            return Plan(steps=(), summary=cause.human_must or "no remedy left", author=self.name)
        remedy = cause.remedies[used]
        return Plan(
            steps=remedy.steps(resource, request.diagnosis.target, facts_of(request.evidence)),
            summary=remedy.summary,
            author=self.name,
        )


@dataclass
class FakeArchive:
    kept: dict[str, str] = field(default_factory=dict)

    async def keep(self, incident_id: str, evidence_id: str, source: str, raw: str) -> str:
        ref = f"{incident_id}/{evidence_id}"
        self.kept[ref] = raw
        return ref

    async def read(self, incident_id: str, evidence_id: str) -> str | None:
        return self.kept.get(f"{incident_id}/{evidence_id}")


class AnyParams(BaseModel):
    """Params of fake actions: anything."""

    model_config = {"extra": "allow"}


@dataclass
class FakeActions:
    """A catalogue whose actions append to `ran` and answer what `answers` says (or succeed)."""

    catalogue: Mapping[str, ActionSpec]
    answers: dict[str, list[ActionOutput]] = field(default_factory=dict)
    probes: dict[str, Probe] = field(default_factory=dict)
    undos: Mapping[str, PlanStep] = field(default_factory=dict)
    preconditions: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    on_run: Callable[[str], None] | None = None

    def spec(self, name: str) -> ActionSpec:
        return self.catalogue[name]

    def specs(self, kind: ResourceKind) -> tuple[ActionSpec, ...]:
        return tuple(self.catalogue[name] for name in kind.actions)

    async def complete(self, resource: Resource, kind: ResourceKind, step: PlanStep) -> PlanStep:
        if step.action not in kind.actions:
            raise InvalidStep(step, "action", f"not permitted for {kind.name}: permitted are {', '.join(kind.actions)}")
        rendered = f"{step.action}({', '.join(f'{key}={value}' for key, value in sorted(step.params.items()))})"
        undo = self.undos.get(step.action)
        return step.model_copy(update={"rendered": rendered, "risk": self.spec(step.action).risk, "undo": undo})

    def touches(self, resource: Resource, step: PlanStep) -> tuple[str, ...]:
        return self.spec(step.action).touches(resource)

    async def precondition(self, resource: Resource, step: PlanStep) -> str | None:
        return self.preconditions.get(step.action)

    async def baseline(self, resource: Resource, step: PlanStep) -> dict[str, Any]:
        return {"ran": len(self.ran)}

    async def run(self, resource: Resource, step: PlanStep, key: str, first_started_at: datetime) -> ActionOutput:
        self.ran.append(step.action)
        if self.on_run is not None:
            self.on_run(step.action)
        queued = self.answers.get(step.action)
        return queued.pop(0) if queued else ActionOutput("succeeded", "done")

    async def probe(self, resource: Resource, step: PlanStep, key: str, baseline: Mapping[str, Any]) -> Probe:
        return self.probes.get(step.action, Probe("unknown", "can't tell"))


@dataclass
class FakeJournal:
    """The journal's promises in memory. `holder` is who holds the lease; `verdict` overrides the next start."""

    holder: str = ""
    approved: set[str] = field(default_factory=set)
    entries: dict[str, AlreadyStarted] = field(default_factory=dict)
    verdict: Hold | Refusal | None = None

    async def find(self, idempotency_key: str) -> AlreadyStarted | None:
        return self.entries.get(idempotency_key)

    async def start(self, request: JournalRequest) -> Started | AlreadyStarted | Hold | Refusal:
        if found := self.entries.get(request.idempotency_key):
            return found
        return self._begin(request)

    async def restart(self, request: JournalRequest) -> Started | Hold | Refusal:
        return self._begin(request)

    def _begin(self, request: JournalRequest) -> Started | Hold | Refusal:
        if self.verdict is not None:
            verdict, self.verdict = self.verdict, None
            return verdict
        if request.holder != self.holder:
            return Refusal("lease_lost", f"held by {self.holder}, not {request.holder}")
        if request.approval_needed and request.plan_fingerprint not in self.approved:
            return Refusal("not_approved", f"plan {request.plan_fingerprint} is not approved")
        deadline = request.now + timedelta(seconds=request.deadline_seconds)
        self.entries[request.idempotency_key] = AlreadyStarted(request.now, deadline, request.baseline, None)
        return Started(request.now)

    async def finish(self, result: ActionResult) -> None:
        begun = self.entries[result.idempotency_key]
        self.entries[result.idempotency_key] = AlreadyStarted(
            begun.started_at, begun.deadline_at, begun.baseline, result
        )


@dataclass
class FakeHealth:
    """Rounds of observations, the last one repeated."""

    rounds: Sequence[Sequence[Observation]]
    asked: int = 0

    async def observe(self, incident: Incident, judged_by: JudgedBy = "resource") -> tuple[Observation, ...]:
        found = self.rounds[min(self.asked, len(self.rounds) - 1)]
        self.asked += 1
        return tuple(found)


@dataclass
class FakeFleet:
    seen: FleetView = field(default_factory=FleetView)

    async def view(self, resource: Resource) -> FleetView:
        return self.seen


@dataclass
class FakeSuppressions:
    """Why alerts ring for nobody, by fingerprint; or the error of whoever can't be asked."""

    said: Mapping[str, str] = field(default_factory=dict)
    error: Exception | None = None

    async def of(self, incident: Incident) -> Mapping[str, str]:
        if self.error is not None:
            raise self.error
        return self.said


@dataclass
class FakeDirectives:
    said: Stop | None = None

    async def stop(self, incident_id: str) -> Stop | None:
        return self.said


@dataclass
class FakeChronicle:
    """Keeps what was told, by key, and passes approvals to the journal where one is given."""

    journal: FakeJournal | None = None
    entries: dict[str, Entry] = field(default_factory=dict)

    async def tell(self, entry: Entry) -> None:
        self.entries[f"{entry.node}:{entry.key}"] = entry

    async def approved(self, incident_id: str, approval: Approval) -> None:
        if self.journal is not None:
            self.journal.approved.add(approval.plan_fingerprint)

    @property
    def nodes(self) -> list[str]:
        return [entry.node for entry in self.entries.values()]
