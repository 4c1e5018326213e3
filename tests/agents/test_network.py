"""Why a host can't be reached, told apart: facts in, cause out, as a table; and what is planned then."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.instance import INSTANCE
from graph.facts import Facts, FactValue, fact_key
from graph.fakes import FakeClock
from graph.records import HealthCheck, Resource, SshAccess
from graph.resources import Networking
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.memory import MemoryHosts

RESOURCE = Resource(
    id="inst-1",
    kind="Instance",
    address="192.0.2.1",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    services=("web",),
    health=(HealthCheck(http="http://192.0.2.1:8080/healthz"),),
    network=Networking(
        interface="svc0", gateway="192.0.2.254", ports=(8080,), nameservers=("192.0.2.53",), resolve=("db.example",)
    ),
)
RUNS: dict[str, FactValue] = {"host.reachable": True, fact_key("unit.state", unit="web"): "running"}
SILENT: dict[str, FactValue] = {fact_key("health.ok", check="http http://192.0.2.1:8080/healthz"): False}
ELSEWHERE: dict[str, FactValue] = {fact_key("health.ok", check="http http://192.0.2.1:9999/"): False}
LOCAL: dict[str, FactValue] = {
    fact_key("net.local_status", port="8080"): 200,
    fact_key("net.listen_address", port="8080"): "0.0.0.0",
}
LINK: dict[str, FactValue] = {
    fact_key("net.link", interface="svc0"): "up",
    fact_key("net.address", interface="svc0"): True,
    "net.route_default": True,
    "dns.nameserver_declared": True,
    fact_key("dns.resolves", name="db.example"): True,
}
WELL = RUNS | LOCAL | LINK
RULE = "tcp dport 8080 counter drop"


def blocked(rule: str = RULE, **labels: str) -> dict[str, FactValue]:
    where = {"port": "8080", "by": "nft", "table": "inet filter", "chain": "input"} | labels
    return {fact_key("net.blocked", **where): rule}


def found(facts: Mapping[str, FactValue]) -> dict[str, float]:
    known = Facts.of([("E1", facts)])
    return {cause.name: match.score for cause in INSTANCE.causes if (match := cause.signature(known, RESOURCE))}


def best(facts: Mapping[str, FactValue]) -> str:
    scores = found(facts)
    return max(scores, key=lambda name: scores[name], default="unknown")


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (WELL | SILENT | blocked(place="4", handle="6"), "firewall_drop"),
        (WELL | SILENT | blocked("policy drop"), "firewall_drop"),
        (WELL | SILENT, "cut_off_elsewhere"),
        (WELL | SILENT | {fact_key("net.link", interface="svc0"): "down"}, "interface_down"),
        (WELL | SILENT | {fact_key("net.link", interface="svc0"): "missing"}, "interface_down"),
        (WELL | SILENT | {fact_key("net.address", interface="svc0"): False}, "interface_down"),
        (WELL | SILENT | {"net.route_default": False}, "route_missing"),
        (
            WELL | SILENT | {"net.route_default": False, fact_key("dns.resolves", name="db.example"): False},
            "route_missing",
        ),
        (
            WELL
            | SILENT
            | {
                fact_key("net.local_status", port="8080"): 0,
                "dns.nameserver_declared": False,
                fact_key("dns.resolves", name="db.example"): False,
            },
            "dns_broken",
        ),
        (
            WELL
            | SILENT
            | {
                fact_key("net.local_status", port="8080"): 503,
                fact_key("dns.resolves", name="db.example"): False,
            },
            "dns_broken",
        ),
        (WELL | SILENT | {fact_key("net.listen_address", port="8080"): "127.0.0.1"}, "wrong_listen_address"),
        (WELL | SILENT | {fact_key("net.listen_address", port="8080"): "::1"}, "wrong_listen_address"),
        (WELL | SILENT | {"net.conntrack_percent": 99}, "connections_exhausted"),
        (RUNS | SILENT | LINK | {fact_key("net.local_status", port="8080"): 0}, "service_hung"),
        (RUNS | SILENT, "service_hung"),
        (WELL, "unknown"),
        (WELL | ELSEWHERE, "unknown"),
    ],
)
def test_the_facts_tell_the_cause(facts: dict[str, FactValue], cause: str) -> None:
    assert best(facts) == cause


def test_a_service_that_answers_on_its_own_host_is_not_called_hung() -> None:
    assert "service_hung" not in found(WELL | SILENT | blocked(place="4", handle="6"))


def test_a_rule_on_a_port_that_is_reached_all_the_same_is_no_cause() -> None:
    reached = {fact_key("health.ok", check="http http://192.0.2.1:8080/healthz"): True}
    assert "firewall_drop" not in found(WELL | reached | blocked(place="4", handle="6"))


def planned(cause: str, facts: Mapping[str, FactValue]) -> list[list[str]]:
    """The actions of each remedy that applies."""
    declared = INSTANCE.cause(cause)
    assert declared is not None
    known = Facts.of([("E1", facts)])
    steps = (remedy.steps(RESOURCE, None, known) for remedy in declared.remedies)
    return [[step.action for step in each] for each in steps if each]


@pytest.mark.parametrize(
    ("rule", "labels"),
    [
        ("policy drop", {}),
        ('tcp dport 8080 drop comment "x; flush ruleset"', {"place": "4", "handle": "6"}),
        ("tcp dport 8080 drop $(reboot)", {"place": "4", "handle": "6"}),
    ],
)
def test_a_policy_or_a_hostile_rule_is_left_to_a_human(rule: str, labels: dict[str, str]) -> None:
    assert planned("firewall_drop", blocked(rule, **labels)) == []


def test_nameservers_are_put_back_only_where_we_know_how_and_others_are_used() -> None:
    others = {"dns.nameserver_declared": False, "dns.manager": "file"}
    assert planned("dns_broken", others) == [["restore_dns"]]
    assert planned("dns_broken", others | {"dns.manager": "NetworkManager"}) == []
    assert planned("dns_broken", {"dns.nameserver_declared": True}) == []


def test_another_default_route_is_not_doubled() -> None:
    assert planned("route_missing", {"net.route_default": False}) == [["add_route"], ["restart_networking"]]
    assert planned("route_missing", {"net.route_default_other": "192.0.2.9"}) == [["restart_networking"]]


async def test_the_step_planned_for_a_rule_is_one_the_catalogue_takes() -> None:
    declared = INSTANCE.cause("firewall_drop")
    assert declared is not None
    facts = Facts.of([("E1", blocked(place="4", handle="6"))])
    [step] = declared.remedies[0].steps(RESOURCE, "port 8080", facts)
    done = await Catalogue(ActionContext(MemoryHosts(), FakeClock())).complete(RESOURCE, INSTANCE, step)
    assert (done.risk, done.undo and done.undo.action) == ("disruptive", "restore_firewall_rule")
    assert "nft delete rule inet filter input handle 6" in done.rendered
