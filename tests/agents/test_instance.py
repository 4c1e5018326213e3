"""The causes of an Instance told apart: facts in, cause out, as a table."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.instance import INSTANCE
from graph.facts import Facts, FactValue, fact_key, parse_key
from graph.records import ProviderAccess, Resource, SshAccess

RESOURCE = Resource(
    id="inst-1",
    kind="Instance",
    address="192.0.2.1",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    provider=ProviderAccess(name="ec2", instance_id="i-1"),
    services=("web",),
)
UNIT = "web.service"


def unit(**values: FactValue) -> dict[str, FactValue]:
    return {fact_key(f"unit.{name}", unit=UNIT): value for name, value in values.items()}


def journal(**values: FactValue) -> dict[str, FactValue]:
    return {fact_key(f"journal.{name}", unit=UNIT): value for name, value in values.items()}


UP: dict[str, FactValue] = {"host.reachable": True, "provider.state": "running"}
LOST: dict[str, FactValue] = {"host.reachable": False, "host.unreachable_how": "timeout"}
KILLED = unit(state="failed", result="signal", signal="KILL", start_limit_hit=True)
CHECK_FAILS: dict[str, FactValue] = {fact_key("health.ok", check="http http://192.0.2.1/"): False}


def best(facts: Mapping[str, FactValue]) -> str:
    known = Facts.of([("E1", facts)])
    if INSTANCE.no_fault(known, RESOURCE):
        return "no_fault"
    matches = [(match.score, cause.name) for cause in INSTANCE.causes if (match := cause.signature(known, RESOURCE))]
    return max(matches, default=(0.0, "unknown"))[1]


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (UP | KILLED, "process_crashed"),
        (UP | unit(state="failed", result="exit-code", exit_code=1), "process_crashed"),
        (UP | unit(state="starting", result="signal", signal="KILL"), "process_crashed"),
        (UP | unit(state="starting", signal="KILL"), "process_crashed"),
        (UP | unit(state="starting"), "unknown"),
        (UP | unit(state="stopped", result="success"), "service_stopped"),
        (UP | unit(state="stopped", result="success") | journal(stopped_by_request=True), "service_stopped"),
        (UP | unit(state="failed", result="oom-kill"), "oom_killed"),
        (UP | KILLED | journal(oom=True), "oom_killed"),
        (UP | KILLED | unit(oom_killed=True), "oom_killed"),
        (UP | unit(state="failed", result="exit-code") | journal(config_error="web.json:1: {bad"), "bad_configuration"),
        (UP | unit(state="starting", exit_code=1) | journal(config_error="web.json:1: {bad"), "bad_configuration"),
        (UP | unit(state="starting") | journal(config_error="web.json:1: {bad"), "unknown"),
        (UP | unit(state="stopped", exit_code=1) | journal(config_error="old line"), "service_stopped"),
        (UP | unit(state="failed", result="exit-code") | journal(address_in_use=True), "port_taken"),
        (UP | unit(state="failed", result="exit-code") | journal(no_space=True), "no_space_left"),
        (LOST | {"provider.state": "running"}, "host_hung"),
        (LOST | {"provider.state": "running"} | unit(state="running"), "unknown"),
        (LOST | {"provider.state": "running"} | unit(state="stopped"), "service_stopped"),
        (LOST | {"provider.state": "running", "provider.instance_check": "impaired"}, "host_hung"),
        (LOST | {"provider.state": "stopped"}, "host_stopped"),
        (LOST, "host_unreachable"),
        ({"host.reachable": False, "host.unreachable_how": "host_key"}, "access_refused"),
        ({"host.reachable": False, "host.unreachable_how": "auth", "provider.state": "running"}, "access_refused"),
        (UP | unit(state="running") | CHECK_FAILS, "service_hung"),
        (UP | unit(state="running"), "no_fault"),
        (UP, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_facts_tell_the_cause(facts: dict[str, FactValue], cause: str) -> None:
    assert best(facts) == cause


def test_a_config_error_of_a_unit_that_runs_is_no_cause() -> None:
    assert best(UP | unit(state="running") | journal(config_error="old line")) == "no_fault"


def test_every_remedy_uses_only_permitted_actions() -> None:
    for cause in INSTANCE.causes:
        for remedy in cause.remedies:
            assert {step.action for step in remedy.steps(RESOURCE, UNIT, Facts())} <= set(INSTANCE.actions)


def test_every_cause_has_a_remedy_or_says_what_a_human_must_do() -> None:
    for cause in INSTANCE.causes:
        assert cause.remedies or cause.human_must, cause.name


def test_every_match_cites_what_it_rests_on() -> None:
    facts = Facts.of([("E1", UP | KILLED)])
    for cause in INSTANCE.causes:
        if match := cause.signature(facts, RESOURCE):
            assert match.cites


def test_fact_keys_survive_hostile_label_values() -> None:
    hostile = 'a"},{unit="b\\'
    name, labels = parse_key(fact_key("unit.state", unit=hostile))
    assert (name, labels) == ("unit.state", {"unit": hostile})
