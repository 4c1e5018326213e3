"""What only the provider can tell: a machine that is gone, a port shut before the host, a database that it runs."""

from __future__ import annotations

from agents.causes.service import FAIL_OVER, HARD_REBOOT, UNREACHABLE_BY_FAULT
from graph.facts import Fact, Facts
from graph.kind import Cause, Match, Remedy
from graph.records import PlanStep, Resource

GONE = ("terminated", "shutting-down")
BROKEN_DATABASE = ("failed", "incompatible-network", "incompatible-option-group", "incompatible-parameters",
                   "restore-error", "inaccessible-encryption-credentials")  # fmt: skip
"""States that a reboot of the database does not end (RDS User Guide, "Viewing DB instance status")."""


# -- what speaks for a cause ---------------------------------------------------------------------------


def host_lost(facts: Facts, resource: Resource) -> Match | None:
    """Terminated, or what is beneath it is broken: neither is mended from within."""
    state = facts.first("provider.state")
    if state is not None and state.value in GONE:
        return Match(0.97, [state], f"the provider says the instance is {state.value}", resource.id)
    broken = facts.first("provider.system_check")
    how = facts.first("host.unreachable_how")
    if broken is None or broken.value != "impaired" or how is None or how.value not in UNREACHABLE_BY_FAULT:
        return None
    summary = "the provider says what is beneath the host is broken (system check impaired), and it does not answer"
    return Match(0.97, [broken, how], summary, resource.id)


def security_group_closed(facts: Facts, resource: Resource) -> Match | None:
    """A declared rule is missing, and what it lets in works on the host but is not reached from outside."""
    missing = list(facts.where("provider.ingress_missing", True))
    cut_off = [*_silent(facts), *_unreachable(facts)]
    if not missing or not cut_off or any(fact.value != "running" for fact in facts.all("unit.state")):
        return None
    ports = {fact.labels["port"] for fact in missing}
    listening = [fact for fact in facts.all("port.listening") if fact.labels.get("port") in ports and fact.value]
    first = missing[0].labels
    words = f"{first['protocol']}/{first['port']} from {first['cidr']}"
    summary = f"security group {first['group']} does not allow {words}, as it is declared to, and no connection comes"
    running = list(facts.all("unit.state"))
    score = 0.97 if running or listening else 0.94
    return Match(score, [*missing, *cut_off, *listening, *running], summary, first["group"])


def database_stuck(facts: Facts, resource: Resource) -> Match | None:
    """The provider runs it and finds it well, and yet it does not answer."""
    state = facts.first("provider.database_state")
    silent = _database_silent(facts)
    if resource.transport != "none" or state is None or state.value != "available" or not silent:
        return None
    return Match(0.85, [state, *silent], "the provider says the database is available, but it does not answer")


def database_broken(facts: Facts, resource: Resource) -> Match | None:
    state = facts.first("provider.database_state")
    if resource.transport != "none" or state is None or state.value not in (*BROKEN_DATABASE, "storage-full"):
        return None
    return Match(0.96, [state], f"the provider says the database is {state.value}")


def source_lost(facts: Facts, resource: Resource) -> Match | None:
    """A managed replica follows nobody any more."""
    source, receiving = facts.first("provider.database_source"), facts.first("repl.receiving")
    if resource.transport != "none" or source is None or receiving is None or receiving.value is not False:
        return None
    return Match(0.8, [source, receiving], f"the replica receives nothing from its source {source.value}")


def _silent(facts: Facts) -> list[Fact]:
    return [
        fact for fact in facts.where("health.ok", False) if fact.labels.get("check", "").startswith(("http", "tcp"))
    ]


def _unreachable(facts: Facts) -> list[Fact]:
    how = facts.first("host.unreachable_how")
    return [how] if how is not None and how.value in ("timeout", "no_route") else []


def _database_silent(facts: Facts) -> list[Fact]:
    return [*facts.where("db.accepting", False), *_silent(facts)]


# -- what mends it ---------------------------------------------------------------------------------------


def _allow_ingress(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    declared = [(group.id, rule) for group in resource.security_groups for rule in group.ingress]
    steps = []
    for group, rule in declared:
        labels = {"group": group, "protocol": rule.protocol, "port": str(rule.port), "cidr": rule.cidr}
        if facts.value("provider.ingress_missing", **labels) is True:
            step = PlanStep(
                action="allow_ingress",
                params={"group_id": group, **rule.model_dump(mode="json")},
                why=f"{group} must allow {rule} and does not",
                expect=f"port {rule.port} is reached from outside",
            )
            steps.append(step)
    return tuple(steps)


def _reboot_database(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    why = "it does not answer though its provider finds it well"
    return (PlanStep(action="reboot_database", why=why, expect="the database answers"),)


def _promote_database(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    if resource.database is None or resource.database.role != "replica":
        return ()
    why = "its source takes no writes any more"
    return (PlanStep(action="promote_database", why=why, expect="the replica takes writes"),)


ALLOW_INGRESS = Remedy(
    "allow_ingress", "add the declared rules that are missing", _allow_ingress, ("allow_ingress",), needs_provider=True
)
REBOOT_DATABASE = Remedy(
    "reboot_database", "reboot it through its provider", _reboot_database, ("reboot_database",), needs_provider=True
)
PROMOTE_DATABASE = Remedy(
    "promote_database", "promote it through its provider", _promote_database, ("promote_database",), needs_provider=True
)


CAUSES: tuple[Cause, ...] = (
    Cause(
        "host_lost",
        "the machine is gone, or what is beneath it is broken",
        "service_down",
        host_lost,
        (FAIL_OVER, HARD_REBOOT),
        human_must="the machine is lost: replace it; what was moved to its standby stays there until then",
    ),
    Cause(
        "security_group_closed",
        "the provider lets no connection through to a port that is declared to be open",
        "connection_timeout",
        security_group_closed,
        (ALLOW_INGRESS,),
        human_must="mend the security group named in the diagnosis",
    ),
)

MANAGED: tuple[Cause, ...] = (
    Cause(
        "managed_database_stuck",
        "a database that its provider runs does not answer, though the provider finds it well",
        "service_down",
        database_stuck,
        (REBOOT_DATABASE,),
        human_must="turn to the provider: its reboot did not help",
    ),
    Cause(
        "managed_database_broken",
        "the provider itself says that the database is broken",
        "service_down",
        database_broken,
        human_must="the provider says why in its console: a full or broken managed database is not mended by a reboot",
    ),
    Cause(
        "managed_source_lost",
        "a managed replica receives nothing from its source any more",
        "replication_lag",
        source_lost,
        (PROMOTE_DATABASE,),
        human_must="look at the source of this replica in the provider's console; it may still take writes",
    ),
)
MANAGED_ACTIONS = ("reboot_database", "promote_database")
