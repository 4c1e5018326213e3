"""The agent for `Database`: one member of a database cluster, reached by SQL over its port, and its host by SSH."""

from __future__ import annotations

from dataclasses import replace

from agents.causes import disk, mariadb, mariadb_remedies, postgresql, postgresql_remedies, provider, service
from agents.causes.nothing import judged
from graph.facts import Fact, Facts
from graph.kind import Cause, Match, Remedy, ResourceKind
from graph.records import PlanStep, Resource

CROWDED_PERCENT = 90.0
"""With more of its connections taken a database is not well."""
HOST_LOST = ("host_hung",)
"""Causes by which a machine may be lost for good."""


def database_well(facts: Facts, resource: Resource) -> Match | None:
    """It is what it was declared to be, takes connections, and follows or is followed as it should."""
    database = resource.database
    accepting, role = facts.first("db.accepting"), facts.first("db.role")
    if database is None or accepting is None or accepting.value is not True or role is None:
        return None
    if role.value != database.role or any(fact.value is False for fact in facts.all("host.reachable")):
        return None
    units, checks = list(facts.all("unit.state")), list(facts.all("health.ok"))
    if any(fact.value != "running" for fact in units) or any(fact.value is not True for fact in checks):
        return None
    crowd = facts.value("db.connections_percent")
    if isinstance(crowd, int | float) and crowd >= CROWDED_PERCENT:
        return None
    writes = list(facts.where("db.writable", True))
    proofs = writes if role.value == "primary" else _follows(facts, database.max_lag_seconds)
    if not proofs:
        return None
    does = "takes writes" if role.value == "primary" else "follows its primary closely"
    return judged([accepting, role, *proofs, *units, *checks], facts, resource, f"the database answers and {does}")


def _follows(facts: Facts, max_lag: float) -> list[Fact]:
    receiving, applying, lag = (facts.first(f"repl.{name}") for name in ("receiving", "applying", "lag_seconds"))
    if receiving is None or applying is None or lag is None:
        return []
    fed = receiving.value is True and applying.value is True
    return [receiving, applying, lag] if fed and isinstance(lag.value, int | float) and lag.value <= max_lag else []


def on_a_host(cause: Cause) -> Cause:
    """The cause for what has a host of its own: where nobody may log in (a managed database), its silence says
    nothing."""

    def signature(facts: Facts, resource: Resource) -> Match | None:
        return None if resource.transport == "none" else cause.signature(facts, resource)

    remedies = tuple(_beside_patroni(remedy) for remedy in cause.remedies)
    if cause.name in HOST_LOST:
        # where its machine does not come back, another member takes over: last, as it does most harm
        remedies = (*remedies, postgresql_remedies.FAIL_OVER, mariadb_remedies.FAIL_OVER)
    return replace(cause, signature=signature, remedies=remedies)


def _beside_patroni(remedy: Remedy) -> Remedy:
    """The remedy where Patroni manages the member: it restarts its servers itself, so only its own unit is touched."""

    def steps(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
        found = remedy.steps(resource, target, facts)
        managed = resource.database is not None and resource.database.patroni_url is not None
        services = [step for step in found if step.action in ("restart_service", "start_service")]
        behind_its_back = any("patroni" not in str(step.params.get("unit", "")) for step in services)
        return () if managed and behind_its_back else found

    return replace(remedy, steps=steps)


def permitted(cause: Cause, actions: tuple[str, ...]) -> Cause:
    """The cause with only such remedies as use these actions: traffic is not moved away from a database, another member
    takes over."""
    return replace(cause, remedies=tuple(remedy for remedy in cause.remedies if set(remedy.actions) <= set(actions)))


ACTIONS: tuple[str, ...] = (
    "restart_service",
    "start_service",
    "soft_reboot",
    "hard_reboot",
    "start_instance",
    "wait",
    *disk.ACTIONS,
    *provider.MANAGED_ACTIONS,
    *dict.fromkeys((*postgresql.ACTIONS, *mariadb.ACTIONS)),
)

DATABASE = ResourceKind(
    name="Database",
    summary="one member of a database cluster: a primary or a replica",
    issue_types=("service_down", "replication_lag", "high_cpu", "connection_timeout", "disk_full", "unknown"),
    sources=(
        "host",
        "units",
        "journal",
        "disk",
        "ports",
        "metrics",
        "provider",
        "health",
        "database",
        "replication",
        "changes",
    ),
    actions=ACTIONS,
    no_fault=database_well,
    causes=(
        *(permitted(on_a_host(cause), ACTIONS) for cause in service.CAUSES),
        *provider.MANAGED,
        *postgresql.CAUSES,
        *mariadb.CAUSES,
        *(permitted(on_a_host(cause), ACTIONS) for cause in disk.CAUSES),
    ),
)
