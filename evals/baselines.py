"""Three reasoners that know nothing, run as any other: what a score is worth shows beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graph.kind import UNKNOWN_CAUSE, Cause, ResourceKind
from graph.ports import DiagnosisRequest, PlanRequest
from graph.records import Diagnosis, Plan, PlanStep, facts_of

RESTART = "restart_service"


class AlwaysUnknown:
    """Never knows, never acts."""

    name = "always-unknown"

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        return Diagnosis(
            suspected_cause=UNKNOWN_CAUSE, summary="whatever it is, it is unknown", confidence=0, author=self.name
        )

    async def plan(self, request: PlanRequest) -> Plan:
        return Plan(steps=(), summary="nothing is known, so nothing is done", author=self.name)


class AlwaysTheFirstCause:
    """Is sure that it is the cause the kind declares first, whatever was seen, and takes its first remedy."""

    name = "always-the-first-cause"

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        return _sure(request.kind.causes[0], request, self.name)

    async def plan(self, request: PlanRequest) -> Plan:
        steps = next(_ways(request.kind.causes[0], request), ())
        return Plan(steps=steps, summary="the first remedy of the first cause", author=self.name)


class AlwaysRestart:
    """Is sure that a restart is what is wanted, whatever was seen."""

    name = "always-restart"

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        cause = _restarted(request.kind)
        return await AlwaysUnknown().diagnose(request) if cause is None else _sure(cause, request, self.name)

    async def plan(self, request: PlanRequest) -> Plan:
        cause = _restarted(request.kind)
        ways = _ways(cause, request) if cause else iter(())
        steps = next((way for way in ways if way[0].action == RESTART), ())
        return Plan(steps=steps, summary="a restart never hurt anybody", author=self.name)


BASELINES: Mapping[str, type[AlwaysUnknown] | type[AlwaysTheFirstCause] | type[AlwaysRestart]] = {
    reasoner.name: reasoner for reasoner in (AlwaysUnknown, AlwaysTheFirstCause, AlwaysRestart)
}


def _sure(cause: Cause, request: DiagnosisRequest, author: str) -> Diagnosis:
    """The cause, with all evidence that carries any fact behind it."""
    return Diagnosis(
        suspected_cause=cause.name,
        issue_type=cause.issue_type,
        summary=f"it is {cause.name}, as ever",
        confidence=1.0,
        evidence_ids=tuple(item.id for item in request.evidence if item.facts),
        target=_service(request),
        author=author,
    )


def _service(request: DiagnosisRequest) -> str | None:
    """The first unit that was looked at, else the first service that is declared."""
    seen = facts_of(request.evidence).first("unit.state")
    resource = request.incident.resource
    if seen is not None:
        return seen.labels.get("unit")
    return resource.services[0] if resource and resource.services else None


def _restarted(kind: ResourceKind) -> Cause | None:
    """The first declared cause that a restart mends."""
    return next((cause for cause in kind.causes for way in cause.remedies if RESTART in way.actions), None)


def _ways(cause: Cause, request: PlanRequest) -> Iterator[tuple[PlanStep, ...]]:
    """The steps of the cause's remedies, of those that have any here, less those turned down already."""
    resource, facts = request.incident.resource, facts_of(request.evidence)
    if resource is None:
        return
    made = (remedy.steps(resource, request.diagnosis.target, facts) for remedy in cause.remedies)
    for number, steps in enumerate(steps for steps in made if steps):
        if number >= len(request.objections):
            yield steps
