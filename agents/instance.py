"""The agent for `Instance`: a host with services on it, reached by SSH and, where it has one, a provider."""

from __future__ import annotations

from agents.causes import service
from graph.facts import Facts
from graph.kind import Match, ResourceKind
from graph.records import Resource


def healthy(facts: Facts, resource: Resource) -> Match | None:
    reachable = facts.first("host.reachable")
    units, checks = list(facts.all("unit.state")), list(facts.all("health.ok"))
    if reachable is None or reachable.value is not True or not (units or checks):
        return None
    if any(fact.value != "running" for fact in units) or any(fact.value is not True for fact in checks):
        return None
    return Match(0.95, [reachable, *units, *checks], "the host answers, its services run and every health check passes")


INSTANCE = ResourceKind(
    name="Instance",
    summary="a host with services on it",
    issue_types=("service_down", "disk_full", "high_cpu", "connection_timeout", "unknown"),
    sources=("host", "units", "journal", "dmesg", "ports", "metrics", "provider", "health", "changes"),
    actions=("restart_service", "start_service", "soft_reboot", "hard_reboot", "start_instance", "wait"),
    no_fault=healthy,
    causes=service.CAUSES,
)
