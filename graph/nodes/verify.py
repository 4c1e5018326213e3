"""Look whether the resource is healthy: the alert's own condition and the health checks, before and after."""

from __future__ import annotations

from collections.abc import Sequence

from graph.doing import on_behalf_of
from graph.facts import Facts
from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.records import Observation, Wait, facts_of
from graph.rules.verification import Before, VerificationTimes, judge
from graph.state import Heal, Update


async def verify(heal: Heal, deps: Deps, leg: Leg) -> Update:
    judged_by = heal.plan.judged_by if heal.plan is not None and heal.acted else "resource"
    with on_behalf_of(heal.incident.id, "verification"):
        observed = with_neighbours(await deps.health.observe(heal.incident, judged_by), heal)
    settings = deps.settings
    times = VerificationTimes(settings.soak_seconds, settings.verify_timeout_seconds, settings.verify_interval_seconds)
    verification = judge(observed, before(facts_of(heal.evidence)), heal.verification, times, deps.clock.now())
    if verification.status != "pending" or verification.look_again_at is None:
        return {"verification": verification}
    rest = Wait(until=verification.look_again_at, reason=verification.reason, then="verify")
    return {"verification": verification, "wait": rest}


def before(facts: Facts) -> Before:
    """What each criterion looked like when the evidence was gathered."""
    seen = [fact for fact in facts.all("health.observed") if "check" in fact.labels]
    well = frozenset(fact.labels.get("check", "") for fact in facts.where("health.ok", True))
    ill = frozenset(fact.labels.get("check", "") for fact in facts.where("health.ok", False))
    return Before({fact.labels["check"]: str(fact.value) for fact in seen}, well, ill)


def with_neighbours(observed: Sequence[Observation], heal: Heal) -> tuple[Observation, ...]:
    """Services that no health check names and that the diagnosis is not about stand beside what is repaired."""
    resource = heal.incident.resource
    if resource is None:
        return tuple(observed)
    own = {check.name for check in resource.health}
    if heal.diagnosis is not None and heal.diagnosis.target is not None:
        own.add(f"service {heal.diagnosis.target}")
    beside = {f"service {unit}" for unit in resource.services} - own
    return tuple(item.model_copy(update={"neighbour": True}) if item.criterion in beside else item for item in observed)
