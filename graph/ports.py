"""What the nodes ask of the outside: Protocols only. Shipped in-memory fakes for them are in `graph/fakes.py`.

Ports raise `TemporaryError` where the same call may work later and `PermanentError` where it will not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from graph.errors import PermanentError as PermanentError
from graph.errors import TemporaryError as TemporaryError
from graph.facts import FactValue
from graph.journal import AlreadyStarted as AlreadyStarted
from graph.journal import CommandLog as CommandLog
from graph.journal import Hold as Hold
from graph.journal import Journal as Journal
from graph.journal import JournalRequest as JournalRequest
from graph.journal import LeaseLost as LeaseLost
from graph.journal import Refusal as Refusal
from graph.journal import SentCommand as SentCommand
from graph.journal import Started as Started
from graph.kind import ActionSpec, ResourceKind
from graph.reasoning import Asks as Asks
from graph.reasoning import DiagnosisRequest as DiagnosisRequest
from graph.reasoning import Inquiry as Inquiry
from graph.reasoning import InquiryLimits as InquiryLimits
from graph.reasoning import InquirySpec as InquirySpec
from graph.reasoning import PlanRequest as PlanRequest
from graph.reasoning import Reasoner as Reasoner
from graph.records import (
    Approval,
    Incident,
    JudgedBy,
    Observation,
    PlanStep,
    Policy,
    Resource,
    Stop,
)


class InvalidStep(PermanentError):
    """A plan's step is not one we may run: `field` names what is wrong with it."""

    def __init__(self, step: PlanStep, field_name: str, message: str) -> None:
        super().__init__(f"step {step.action!r}, {field_name}: {message}")
        self.step = step
        self.field = field_name
        self.message = message


# -- seeing --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """What one source saw, before it gets an id. `text` is condensed, `raw` whole; both already redacted."""

    asked: str
    text: str
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    status: Literal["observed", "no_data", "failed"] = "observed"
    raw: str = ""


class EvidenceSource(Protocol):
    """One read-only source of evidence. `gather` may raise anything: it is told as failed, with the reason."""

    name: str
    deadline_seconds: float

    async def gather(self, incident: Incident) -> Finding: ...


class EvidenceArchive(Protocol):
    """Where whole answers are kept, out of the state."""

    async def keep(self, incident_id: str, evidence_id: str, source: str, raw: str) -> str:
        """Store it; returns the reference."""

    async def read(self, incident_id: str, evidence_id: str) -> str | None:
        """What was kept of it, or None."""


class InvalidInquiry(PermanentError):
    """No such tool for this resource, or not with these params; the message names the param and what it may be."""


class Inquiries(Protocol):
    """The read-only tools by which a reasoner may ask for more."""

    def specs(self, incident: Incident) -> tuple[InquirySpec, ...]:
        """Those that can answer for this resource, in a stable order."""

    def source(self, incident: Incident, inquiry: Inquiry, max_chars: int) -> EvidenceSource:
        """What gathers the answer: a text of at most `max_chars` for the reasoner, and facts where it has some.
        Raises InvalidInquiry."""


class HealthChecks(Protocol):
    """Whether the alert's own condition has cleared and the resource's health checks pass, as of now.

    Judged by `traffic`, what was moved elsewhere must work there: the lost resource itself need not be well.
    """

    async def observe(self, incident: Incident, judged_by: JudgedBy = "resource") -> tuple[Observation, ...]: ...


# -- doing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ActionOutput:
    """What one run of an action came to. `pending` is for actions that wait: look again at that time."""

    status: Literal["succeeded", "failed", "unknown", "pending"]
    output: str
    look_again_at: datetime | None = None


@dataclass(frozen=True)
class Probe:
    """What is found out about a run whose process died: did it take effect on the world?"""

    effect: Literal["took_effect", "no_effect", "unknown"]
    observed: str
    exit_status: int | None = None
    """Where the run's own end is on record: anything but 0 is a failed action, though it took effect."""


class Actions(Protocol):
    """The catalogue, as far as a kind permits it."""

    def specs(self, kind: ResourceKind) -> tuple[ActionSpec, ...]: ...

    async def complete(self, resource: Resource, kind: ResourceKind, step: PlanStep) -> PlanStep:
        """The step with canonical params, exact rendering, risk and undo. Raises InvalidStep."""

    async def precondition(self, resource: Resource, step: PlanStep) -> str | None:
        """Why the step must not run now, judged on fresh data, or None."""

    async def baseline(self, resource: Resource, step: PlanStep) -> dict[str, Any]:
        """What a later probe compares with (invocation id, boot id, size …). JSON."""

    async def run(self, resource: Resource, step: PlanStep, key: str, first_started_at: datetime) -> ActionOutput:
        """The side effect itself, bounded by the spec's deadline; `key` claims it where the target can."""

    async def probe(self, resource: Resource, step: PlanStep, key: str, baseline: Mapping[str, Any]) -> Probe: ...

    def touches(self, resource: Resource, step: PlanStep) -> tuple[str, ...]:
        """What the step needs the lease of."""

    def spec(self, name: str) -> ActionSpec:
        """Raises PermanentError for a name that is not catalogued."""


# -- the world around ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FleetView:
    """What the safety rules need to know beyond this incident."""

    paused: str | None = None
    """Why and by whom repairs of this resource are paused, or None."""
    frozen: Hold | None = None
    """The freeze window that is open for this resource, or None."""
    storm: Hold | None = None
    """The storm that this resource is part of, or None."""
    flapping: Hold | None = None
    """That it comes back again and again, or None."""
    demoted: Mapping[str, str] = field(default_factory=dict)
    """Issue types of this kind that are no longer repaired unasked, and since what went wrong."""
    recent_actions: int = 0
    """Side effects on this resource in the last hour."""
    oldest_recent_at: datetime | None = None
    group_spent: Hold | None = None
    """Why its group gets no more actions now, or None."""
    actions_spent: Mapping[str, Hold] = field(default_factory=dict)
    """Actions that are begun nowhere now, as they were too often in the last hour."""
    no_place: Hold | None = None
    """Why a disruptive repair must wait for others of its group, or None."""
    cooling: Hold | None = None
    """Why the resource is left alone after an escalation, or None."""


class Fleet(Protocol):
    async def view(self, resource: Resource) -> FleetView: ...


class Suppressions(Protocol):
    """What others have silenced, or what a greater trouble inhibits."""

    async def of(self, incident: Incident) -> Mapping[str, str]:
        """By fingerprint, the alerts of the incident that ring for nobody, and why, in words. Our own silences, put
        while we repair, don't count. Raises TemporaryError and PermanentError where it can't be asked."""


class Directives(Protocol):
    """What people and Alertmanager have said since the heal began."""

    async def stop(self, incident_id: str) -> Stop | None: ...


@dataclass(frozen=True)
class Entry:
    """One thing told in the incident's timeline. `key` makes a second telling of the same thing harmless."""

    incident_id: str
    key: str
    at: datetime
    node: str
    author: str
    sentence: str
    records: Mapping[str, Any] = field(default_factory=dict)
    """What the node wrote, as JSON by channel."""


class Chronicle(Protocol):
    async def tell(self, entry: Entry) -> None: ...

    async def approved(self, incident_id: str, approval: Approval) -> None:
        """Record an approval that came through the graph itself (Studio); idempotent."""


class Clock(Protocol):
    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class HealSettings:
    """Times of a heal, in seconds, and bounds."""

    soak_seconds: float = 30.0
    verify_timeout_seconds: float = 180.0
    verify_interval_seconds: float = 5.0
    looks: int = 2
    """How often to look before believing that nothing explains an alert: faults take a moment to show."""
    look_again_seconds: float = 5.0
    inquiries: InquiryLimits = field(default_factory=InquiryLimits)
    """What a reasoner may ask for beyond what was gathered, for one diagnosis."""
    approval_timeout_seconds: float = 3600.0
    max_actions_per_hour: int = 12
    inline_waits: bool = False
    """Wait in short super-steps instead of ending the leg: for Studio, where no runner wakes a heal."""
    dry_run: bool = False
    """Everything up to and including the rendered plan; nothing is touched."""
    asks_in_dry_run: bool = False
    """Ask for approval in a dry run too: for Studio, where the asking is what is being stepped through."""
    decider: str = "studio:unknown"
    """Who is recorded for a decision that does not say."""
    holder: str = ""
    """Who holds the lease where the run's configuration does not say."""


@dataclass(frozen=True)
class Deps:
    """All that the nodes of one graph are given."""

    kind: ResourceKind
    reasoner: Reasoner
    sources: Sequence[EvidenceSource]
    archive: EvidenceArchive
    actions: Actions
    journal: Journal
    health: HealthChecks
    fleet: Fleet
    directives: Directives
    chronicle: Chronicle
    clock: Clock
    redact: Callable[[str], str] = str
    """Takes secrets out of what is told of failures; sources redact what they tell themselves."""
    inquiries: Inquiries | None = None
    """None: a reasoner can't ask for more than was gathered."""
    suppressions: Suppressions | None = None
    """None: nobody is asked whether alerts are silenced."""
    policies: Sequence[Policy] = ()
    settings: HealSettings = HealSettings()
