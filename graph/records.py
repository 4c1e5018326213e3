"""The records of a heal, in the order of the walk: from the alert that came to the outcome that is told.

All are frozen and made of JSON, so that what is checkpointed, stored, shown and signed is the same thing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from graph.alerts import Alert as Alert
from graph.alerts import AlertGroup as AlertGroup
from graph.facts import Facts, FactValue
from graph.policies import IssueType as IssueType
from graph.policies import OnExpiry as OnExpiry
from graph.policies import Policy as Policy
from graph.policies import PolicyList as PolicyList
from graph.record import Record as Record
from graph.resources import HealthCheck as HealthCheck
from graph.resources import ProviderAccess as ProviderAccess
from graph.resources import Resource as Resource
from graph.resources import ServiceManagerAccess as ServiceManagerAccess
from graph.resources import ServiceManagerName as ServiceManagerName
from graph.resources import SshAccess as SshAccess

Risk = Literal["read_only", "low", "disruptive", "destructive"]

MAX_LABEL_CHARS = 2048
JudgedBy = Literal["resource", "traffic"]
AfterRejection = Literal["close", "replan"]
RISKS: tuple[Risk, ...] = ("read_only", "low", "disruptive", "destructive")


class Incident(Record):
    """One resource in trouble, with all its alerts. `id` (UUIDv7) is the LangGraph thread too; people see `number`."""

    id: str
    number: int
    resource_kind: str
    resource_id: str
    issue_types: tuple[IssueType, ...]
    """What the alerts say it is, most recent last; the diagnosis settles which."""
    alerts: tuple[Alert, ...]
    received_at: AwareDatetime
    resource: Resource | None = None
    """None where the alert names no resource we know: recorded and escalated, never acted on."""

    @property
    def fired_at(self) -> datetime:
        """When the first alert began, else when it was received."""
        return min((alert.starts_at for alert in self.alerts if alert.starts_at), default=self.received_at)

    @property
    def firing(self) -> tuple[Alert, ...]:
        return tuple(alert for alert in self.alerts if alert.firing)

    @property
    def title(self) -> str:
        names = sorted({alert.name for alert in self.alerts})
        about = f"{self.resource_kind}/{self.resource_id}"
        return f"{', '.join(names)} on {about}" if names else about


# -- what was seen -----------------------------------------------------------------------------------


class Evidence(Record):
    """What one source saw. `no_data`: it answered with nothing; `failed`: it did not answer, and `text` says why."""

    id: str
    source: str
    asked: str
    """The exact query, command or call."""
    observed_at: AwareDatetime
    status: Literal["observed", "no_data", "failed"] = "observed"
    text: str = ""
    """Condensed and redacted."""
    facts: dict[str, FactValue] = {}
    raw_ref: str | None = None
    """Where the whole answer (redacted) is in the store."""
    seconds: float = 0.0

    @property
    def answers_inquiry(self) -> bool:
        """Whether a reasoner asked for it, after the rest was gathered."""
        return self.id.startswith("I")


def facts_of(evidence: Iterable[Evidence]) -> Facts:
    """All typed observations of these pieces of evidence. What was looked at again counts once, and as it is now: a
    remedy that was given it twice would do it twice."""
    found = list(evidence)
    latest = {key: item.id for item in found if item.answers_inquiry for key in item.facts}
    return Facts.of(
        (item.id, {key: value for key, value in item.facts.items() if latest.get(key, item.id) == item.id})
        for item in found
    )


class Diagnosis(Record):
    """What is suspected, and by which evidence. `unknown` and `no_fault` are first-class answers."""

    suspected_cause: str
    issue_type: IssueType = "unknown"
    summary: str
    confidence: float = Field(ge=0, le=1)
    evidence_ids: tuple[str, ...] = ()
    ruled_out: dict[str, str] = {}
    """Other causes considered, with the fact that rules each out."""
    target: str | None = None
    """The unit, mount or process the cause is about, where it has one."""
    author: str = ""
    """Which reasoner said so: `runbook`, `llm:<model>`, and what it fell back from."""
    diagnosed_at: AwareDatetime | None = None
    contradicts: str = ""
    """How the evidence contradicts what the alerts say it is; empty where it does not."""


# -- what to do --------------------------------------------------------------------------------------


class PlanStep(Record):
    """One action with typed params. The reasoner gives action, params, why and expect; the rest is filled in from
    the catalogue when the plan is completed."""

    action: str
    params: dict[str, Any] = {}
    why: str = ""
    expect: str = ""
    rendered: str = ""
    risk: Risk = "read_only"
    judged_by: JudgedBy = "resource"
    undo: PlanStep | None = None


class Plan(Record):
    """Ordered steps towards health. No steps means that nothing we may do would help: `summary` says why."""

    steps: tuple[PlanStep, ...]
    summary: str
    author: str = ""
    attempt: int = 1
    planned_at: AwareDatetime | None = None
    beyond_remedies: str = ""
    """What in it is no declared remedy of the diagnosed cause, and why it is wanted: then a human is asked."""

    @property
    def plan_fingerprint(self) -> str:
        """SHA-256 (first 16 hex digits) of the canonical steps, undo included: what an approval is bound to."""
        canonical = json.dumps([_canonical(step) for step in self.steps], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def judged_by(self) -> JudgedBy:
        """What will judge it: the resource's own health, or that of the traffic it moved elsewhere."""
        return "traffic" if any(step.judged_by == "traffic" for step in self.steps) else "resource"

    @property
    def risk(self) -> Risk:
        return max((step.risk for step in self.steps), key=RISKS.index, default="read_only")


def _canonical(step: PlanStep) -> dict[str, Any]:
    undo = _canonical(step.undo) if step.undo else None
    return {"action": step.action, "params": step.params, "rendered": step.rendered, "undo": undo}


class Gate(Record):
    """What the gate decided about a plan, and why."""

    decision: Literal["run", "ask", "hold", "refuse"]
    reason: str
    rule: str = ""
    until: AwareDatetime | None = None
    """For `hold`: when to look again."""
    plan_fingerprint: str = ""


class Approval(Record):
    """What a human (or the world, for `withdrawn` and `expired`) answered to a plan."""

    decision: Literal["approve", "edit", "reject", "withdrawn", "expired"]
    by: str
    at: AwareDatetime
    plan_fingerprint: str
    comment: str = ""
    steps: tuple[PlanStep, ...] = ()
    """For `edit`: the steps wanted instead."""
    then: AfterRejection = "close"
    """For `reject`: whether that is the end, or another plan is wanted that heeds the comment."""

    @property
    def wants_another(self) -> bool:
        """Whether it is a rejection after which to think again."""
        return self.decision == "reject" and self.then == "replan"


class ActionResult(Record):
    """What came of one step. `pending` looks again at `look_again_at`; `unknown` could not be proven either way."""

    idempotency_key: str
    action: str
    params: dict[str, Any] = {}
    step: int
    status: Literal["succeeded", "failed", "unknown", "refused", "pending"]
    rendered: str = ""
    output: str = ""
    rule: str = ""
    """For `refused` and `pending`: the rule that says so (`lease_lost`, `cancelled`, `precondition` …)."""
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    look_again_at: AwareDatetime | None = None
    undo: bool = False
    proven_by_probe: bool = False
    """The process died in the middle; what happened was found out afterwards."""


# -- whether it holds --------------------------------------------------------------------------------


class Observation(Record):
    """One criterion as just observed."""

    criterion: str
    status: Literal["pass", "fail", "pending", "unknown"]
    observed: str
    """In words: `nginx is active`, `HTTP 503 from …`."""
    neighbour: bool = False
    """Not what is being repaired, but beside it: it need not be well, only no worse than before."""


class Criterion(Record):
    """One criterion of health, before and after the repair."""

    name: str
    status: Literal["pass", "fail", "pending", "unknown"]
    before: str = ""
    after: str = ""
    neighbour: bool = False


class Verification(Record):
    """Whether the resource is healthy: all criteria pass and have held for the soak time."""

    status: Literal["healthy", "pending", "unhealthy", "unknown"]
    criteria: tuple[Criterion, ...]
    reason: str
    started_at: AwareDatetime
    observed_at: AwareDatetime
    passing_since: AwareDatetime | None = None
    held_seconds: float = 0.0
    look_again_at: AwareDatetime | None = None
    made_worse: str = ""
    """What was well before the repair and is not now: then it is undone and a human is told."""


class Attempt(Record):
    """What one attempt came to: what the next one learns from. Its plan is not tried again."""

    number: int
    suspected_cause: str
    plan_fingerprint: str
    actions: tuple[str, ...]
    target: str | None = None
    """What the diagnosis was about: another unit's trouble is another attempt."""
    acted: bool
    """Whether at least one action started: only then it counts against max_retries."""
    first_action_at: AwareDatetime | None = None
    why_ended: str
    rolled_back: bool = False
    forgiven: bool = False
    """A human asked to try again: it is remembered, but no longer counts."""
    rejected: bool = False
    """A human did not want its plan: `why_ended` holds what they said."""
    ended_at: AwareDatetime

    @property
    def counts(self) -> bool:
        """Whether it uses up a retry."""
        return self.acted and not self.forgiven

    @property
    def spent(self) -> bool:
        """Whether its plan and its remedy are used up: it was tried, or a human did not want it."""
        return (self.acted or self.rejected) and not self.forgiven


OutcomeStatus = Literal["mitigated", "escalated", "self_resolved", "declined"]


class Times(Record):
    """When what happened; None where it did not."""

    fired: AwareDatetime | None = None
    received: AwareDatetime | None = None
    diagnosed: AwareDatetime | None = None
    approved: AwareDatetime | None = None
    first_action: AwareDatetime | None = None
    verified: AwareDatetime | None = None
    closed: AwareDatetime | None = None


class Outcome(Record):
    """How the heal ended. A heal is finished when this exists."""

    status: OutcomeStatus
    reason: str
    rule: str = ""
    attempts: int = 0
    times: Times = Times()


class Wait(Record):
    """The heal rests until `until`, holding its resource but no worker; then it goes on at `then`."""

    until: AwareDatetime
    reason: str
    then: Literal["gather_context", "gate", "execute", "verify", "rollback"]
    over: bool = False
    rule: str = ""
    """For what is held: the rule that says so (`fleet_budget`, `paused` …)."""


class Stop(Record):
    """Why the heal must go no further, asked of the store between side effects."""

    rule: Literal["cancelled", "alerts_resolved", "taken_over"]
    reason: str
    by: str = ""


def utc_now() -> datetime:
    """The wall clock, aware."""
    return datetime.now(UTC)
