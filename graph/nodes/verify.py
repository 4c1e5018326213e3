"""Look whether the resource is healthy: the alert's own condition and the health checks, before and after."""

from __future__ import annotations

from graph.facts import Facts
from graph.nodes.wrapper import Leg
from graph.ports import Deps
from graph.records import Wait, facts_of
from graph.rules.verification import VerificationTimes, judge
from graph.state import Heal, Update


async def verify(heal: Heal, deps: Deps, leg: Leg) -> Update:
    observed = await deps.health.observe(heal.incident)
    settings = deps.settings
    times = VerificationTimes(settings.soak_seconds, settings.verify_timeout_seconds, settings.verify_interval_seconds)
    verification = judge(observed, before(facts_of(heal.evidence)), heal.verification, times, deps.clock.now())
    if verification.status != "pending" or verification.look_again_at is None:
        return {"verification": verification}
    rest = Wait(until=verification.look_again_at, reason=verification.reason, then="verify")
    return {"verification": verification, "wait": rest}


def before(facts: Facts) -> dict[str, str]:
    """What each criterion looked like when the evidence was gathered."""
    return {fact.labels["check"]: str(fact.value) for fact in facts.all("health.observed") if "check" in fact.labels}
