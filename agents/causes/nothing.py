"""When there is nothing to repair: the alert's condition is over, or nothing that was looked at is in trouble.

The hardest call of all, as it ends in doing nothing. So every doubt lowers it below any cause that has evidence, and
the verification still has to see health hold before a heal is closed on its strength.
"""

from __future__ import annotations

from graph.facts import Fact, Facts
from graph.kind import Match
from graph.records import Resource

OVER = 0.98
"""The alert's condition is seen to be over, and all is well."""
WELL = 0.95
"""All is well; whether the condition holds can't be asked."""
WELL_YET_FIRING = 0.55
"""All is well, yet Prometheus says that the condition holds: any cause with evidence knows better."""


def nothing_wrong(facts: Facts, resource: Resource) -> Match | None:
    """The host answers, its services run, its checks pass, and neither disk nor CPU is beyond its threshold."""
    reachable = facts.first("host.reachable")
    units, checks = list(facts.all("unit.state")), list(facts.all("health.ok"))
    if reachable is None or reachable.value is not True or not (units or checks):
        return None
    if any(fact.value != "running" for fact in units) or any(fact.value is not True for fact in checks):
        return None
    return judged([reachable, *units, *checks], facts, resource, "the host answers and its services run")


def judged(seen: list[Fact], facts: Facts, resource: Resource, words: str) -> Match | None:
    """How sure it is that nothing is wrong, where `seen` is all well."""
    conditions = list(facts.all("alert.firing"))
    if any(fact.value is True for fact in conditions):
        summary = f"{words}, every check passes, and yet Prometheus says that the alert's condition holds"
        return Match(WELL_YET_FIRING, [*seen, *conditions], summary)
    if conditions:
        return Match(OVER, [*conditions, *seen], f"the alert's condition is over: {words}, and every check passes")
    if beyond_threshold(facts, resource):
        return None
    return Match(WELL, seen, f"{words}, and every check passes")


def beyond_threshold(facts: Facts, resource: Resource) -> list[Fact]:
    """What is fuller or busier than the resource may be."""
    limits = {
        "disk.used_percent": resource.thresholds.disk_used_percent,
        "metric.disk_used_percent": resource.thresholds.disk_used_percent,
        "disk.inodes_used_percent": resource.thresholds.inodes_used_percent,
        "cpu.busy_percent": resource.thresholds.cpu_percent,
    }
    return [
        fact
        for name, limit in limits.items()
        for fact in facts.all(name)
        if isinstance(fact.value, int | float) and not isinstance(fact.value, bool) and fact.value >= limit
    ]
