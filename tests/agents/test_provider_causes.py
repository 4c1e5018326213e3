"""What only the provider can tell, as tables: facts in, cause and remedies out."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.causes.provider import CAUSES, MANAGED
from agents.causes.service import CAUSES as SERVICE
from agents.instance import INSTANCE
from graph.facts import Facts, FactValue, fact_key
from graph.kind import Cause
from graph.records import ProviderAccess, Resource
from graph.resources import Database, Failover, Ingress, SecurityGroup

RULE = Ingress(port=8080, cidr="10.0.0.0/8")
HERE = Resource(
    id="inst-1",
    kind="Instance",
    address="10.0.0.5",
    transport="local",
    provider=ProviderAccess(name="ec2", instance_id="i-1"),
    services=("shopd",),
    security_groups=(SecurityGroup(id="sg-1", ingress=(RULE, Ingress(port=22))),),
    failover=Failover(to="inst-2", allocation_id="eip-1"),
)
ALONE = HERE.model_copy(update={"failover": None})
MANAGED_DB = Resource(
    id="db-2",
    kind="Database",
    address="10.0.0.9",
    transport="none",
    provider=ProviderAccess(name="rds", instance_id="orders-2"),
    database=Database(engine="postgresql", cluster="orders", role="replica", port=5432),
)
MISSING = fact_key("provider.ingress_missing", group="sg-1", protocol="tcp", port="8080", cidr="10.0.0.0/8")
SILENT = {fact_key("health.ok", check="http http://10.0.0.5:8080/healthz"): False}
RUNNING = {fact_key("unit.state", unit="shopd"): "running"}
LOST: dict[str, FactValue] = {"host.reachable": False, "host.unreachable_how": "timeout"}
Known = Mapping[str, FactValue]


def facts(known: Known) -> Facts:
    return Facts.of([("E1", known)])


def named(name: str) -> Cause:
    return next(cause for cause in (*CAUSES, *MANAGED, *SERVICE) if cause.name == name)


@pytest.mark.parametrize(
    ("cause", "resource", "known", "score"),
    [
        ("host_lost", HERE, {"provider.state": "terminated"}, 0.97),
        ("host_lost", HERE, {"provider.state": "running", "provider.system_check": "impaired", **LOST}, 0.97),
        ("host_lost", HERE, {"provider.state": "running", "provider.instance_check": "impaired", **LOST}, None),
        ("host_lost", HERE, {"provider.state": "running", "provider.system_check": "impaired"}, None),
        ("host_lost", HERE, {}, None),
        ("host_unreachable", HERE, {"provider.state": "terminated", **LOST}, None),
        ("security_group_closed", HERE, {MISSING: True, **SILENT, **RUNNING}, 0.97),
        ("security_group_closed", HERE, {MISSING: True, **LOST}, 0.94),
        ("security_group_closed", HERE, {MISSING: True, **RUNNING}, None),
        ("security_group_closed", HERE, {**SILENT, **RUNNING}, None),
        (
            "security_group_closed",
            HERE,
            {MISSING: True, **SILENT, fact_key("unit.state", unit="shopd"): "failed"},
            None,
        ),
        ("managed_database_stuck", MANAGED_DB, {"provider.database_state": "available", "db.accepting": False}, 0.85),
        ("managed_database_stuck", MANAGED_DB, {"provider.database_state": "rebooting", "db.accepting": False}, None),
        ("managed_database_stuck", MANAGED_DB, {"provider.database_state": "available"}, None),
        ("managed_database_broken", MANAGED_DB, {"provider.database_state": "storage-full"}, 0.96),
        ("managed_source_lost", MANAGED_DB, {"provider.database_source": "orders", "repl.receiving": False}, 0.8),
        ("managed_source_lost", MANAGED_DB, {"provider.database_source": "orders"}, None),
    ],
)
def test_what_speaks_for_a_cause(cause: str, resource: Resource, known: Known, score: float | None) -> None:
    match = named(cause).signature(facts(known), resource)
    assert (match.score if match else None) == score
    assert match is None or match.cites


def steps_of(cause: str, remedy: str, resource: Resource, known: Known) -> list[tuple[str, dict[str, object]]]:
    found = next(item for item in named(cause).remedies if item.name == remedy)
    return [(step.action, dict(step.params)) for step in found.steps(resource, None, facts(known))]


def test_only_the_declared_rules_that_are_missing_are_added() -> None:
    assert steps_of("security_group_closed", "allow_ingress", HERE, {MISSING: True}) == [
        ("allow_ingress", {"group_id": "sg-1", "protocol": "tcp", "port": 8080, "cidr": "10.0.0.0/8"})
    ]


def test_a_rule_that_evidence_names_and_nobody_declared_is_not_added() -> None:
    strange = fact_key("provider.ingress_missing", group="sg-1", protocol="tcp", port="23", cidr="0.0.0.0/0")
    assert steps_of("security_group_closed", "allow_ingress", HERE, {strange: True}) == []


@pytest.mark.parametrize(
    ("resource", "known", "moves"),
    [
        (HERE, {}, True),
        (HERE, {"provider.serves": True}, True),
        (HERE, {"provider.serves": False}, False),
        (ALONE, {}, False),
    ],
)
def test_traffic_is_moved_where_a_standby_is_declared_and_it_has_not_gone_there_yet(
    resource: Resource, known: Known, moves: bool
) -> None:
    for cause in ("host_hung", "host_stopped", "host_lost"):
        assert bool(steps_of(cause, "fail_over", resource, known)) == moves


def test_remedies_come_in_order_of_harm() -> None:
    assert [remedy.name for remedy in named("host_hung").remedies] == ["soft_reboot", "fail_over", "hard_reboot"]
    assert [remedy.name for remedy in named("host_stopped").remedies] == ["start_instance", "fail_over"]


def test_every_action_of_a_remedy_is_one_that_the_kind_permits() -> None:
    for cause in (*CAUSES, *SERVICE):
        for remedy in cause.remedies:
            assert set(remedy.actions) <= set(INSTANCE.actions), (cause.name, remedy.name)
