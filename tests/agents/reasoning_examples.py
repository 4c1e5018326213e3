"""A small made-up kind, resource and incident that the tests of the reasoners share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from graph.facts import Facts, FactValue
from graph.kind import ActionSpec, Cause, Match, Remedy, ResourceKind, Signature
from graph.ports import DiagnosisRequest, PlanRequest
from graph.records import (
    Alert,
    Attempt,
    Diagnosis,
    Evidence,
    Incident,
    PlanStep,
    ProviderAccess,
    Resource,
    SshAccess,
)

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
SSH = SshAccess(user="ops", key_file="key", known_hosts="hosts")


class UnitParams(BaseModel):
    model_config = ConfigDict(extra="forbid")
    unit: str


class NoParams(BaseModel):
    model_config = ConfigDict(extra="forbid")


def sign(fact: str, score: float = 0.9, value: FactValue = True) -> Signature:
    """A signature that one fact of that value speaks for."""

    def signature(facts: Facts, resource: Resource) -> Match | None:
        found = next(facts.where(fact, value), None)
        return Match(score, [found], f"{fact} was seen", found.labels.get("unit")) if found else None

    return signature


def remedy(action: str, needs_provider: bool = False, **params: str) -> Remedy:
    """A remedy of one step; the param `unit` is the diagnosis' target."""

    def steps(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
        wanted = {"unit": target} if action.endswith("_service") else {}
        return (PlanStep(action=action, params=wanted | params, why="it is down", expect="it is up"),)

    return Remedy(action, f"do {action}", steps, needs_provider=needs_provider)


CRASHED = Cause(
    "crashed",
    "a process crashed",
    "service_down",
    sign("s.crashed"),
    (remedy("restart_service"), remedy("soft_reboot", needs_provider=True), remedy("clear_cache")),
)
KILLED = Cause("killed", "a process was killed", "high_cpu", sign("s.killed", 0.95), (remedy("restart_service"),))
MISCONFIGURED = Cause(
    "misconfigured",
    "a unit fails on its configuration",
    "service_down",
    sign("s.misconfigured", 0.97),
    human_must="correct the configuration",
)
FAINT = Cause("faint", "hardly a sign", "disk_full", sign("s.faint", 0.4), (remedy("clear_cache"),))

ACTIONS = (
    ActionSpec("restart_service", "restart a unit", "disruptive", UnitParams, 30),
    ActionSpec("soft_reboot", "reboot through the provider", "disruptive", NoParams, 60),
    ActionSpec("clear_cache", "clear the cache", "low", NoParams, 30),
)


def kind_of(*causes: Cause) -> ResourceKind:
    return ResourceKind(
        name="Box",
        summary="a made-up thing",
        issue_types=("service_down", "unknown"),
        sources=("units", "journal", "metrics"),
        causes=causes,
        actions=tuple(spec.name for spec in ACTIONS),
        no_fault=sign("s.healthy"),
    )


BOX = kind_of(CRASHED, KILLED, MISCONFIGURED, FAINT)


def resource(provider: str = "ec2") -> Resource:
    access = ProviderAccess(name=provider, instance_id="i-1") if provider != "none" else ProviderAccess()
    return Resource(id="box-1", kind="Box", address="192.0.2.1", ssh=SSH, provider=access, services=("web", "db"))


def incident(of: Resource | None = None, placed: bool = True, **annotations: str) -> Incident:
    labels = {"alertname": "BoxDown", "resource_kind": "Box", "resource_id": "box-1"}
    return Incident(
        id="0190a0a0-0000-7000-8000-000000000001",
        number=7,
        resource_kind="Box",
        resource_id="box-1",
        issue_types=("service_down",),
        alerts=(Alert(status="firing", labels=labels, annotations=annotations, startsAt=AT),),
        received_at=AT,
        resource=(of or resource()) if placed else None,
    )


def seen(id: str, facts: dict[str, FactValue], source: str = "units", text: str = "") -> Evidence:
    return Evidence(id=id, source=source, asked=f"ask {source}", observed_at=AT, facts=facts, text=text)


def unseen(id: str, source: str, reason: str, status: str = "failed") -> Evidence:
    return Evidence.model_validate(
        {"id": id, "source": source, "asked": f"ask {source}", "observed_at": AT, "status": status, "text": reason}
    )


CRASH = (seen("E1", {'s.crashed{unit="web"}': True, "load": 0.2}), unseen("E2", "journal", "timed out after 5 s"))


def diagnosis_request(
    evidence: Sequence[Evidence] = CRASH,
    kind: ResourceKind = BOX,
    attempts: Sequence[Attempt] = (),
    about: Incident | None = None,
) -> DiagnosisRequest:
    return DiagnosisRequest(about or incident(), kind, evidence, attempts)


def diagnosis(cause: str = "crashed", target: str | None = "web") -> Diagnosis:
    return Diagnosis(
        suspected_cause=cause, summary=f"{cause} it is", confidence=0.9, evidence_ids=("E1",), target=target
    )


def attempt(number: int, cause: str, *actions: str, why: str = "still down") -> Attempt:
    return Attempt(
        number=number,
        suspected_cause=cause,
        plan_fingerprint=f"plan{number}",
        actions=actions,
        acted=True,
        why_ended=why,
        ended_at=AT,
    )


def plan_request(
    cause: str = "crashed",
    attempts: Sequence[Attempt] = (),
    objections: Sequence[str] = (),
    about: Incident | None = None,
    kind: ResourceKind = BOX,
    target: str | None = "web",
) -> PlanRequest:
    return PlanRequest(about or incident(), kind, CRASH, diagnosis(cause, target), attempts, ACTIONS, objections)
