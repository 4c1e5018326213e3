"""Why a CPU is busy, and why a service has no port or no database: facts in, cause and steps out, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.facts import Facts, FactValue, fact_key
from graph.kind import Cause, Match
from graph.records import PlanStep, Resource, SshAccess
from graph.resources import ProviderAccess, Scaling

RESOURCE = Resource(
    id="inst-1",
    kind="Instance",
    address="192.0.2.1",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    provider=ProviderAccess(name="ec2", instance_id="i-1"),
    services=("shopd",),
    depends_on=("db:5432",),
    scaling=Scaling(instance_types=("t3.small", "t3.large")),
)
UP: dict[str, FactValue] = {"host.reachable": True, 'unit.state{unit="shopd"}': "running"}
FIRING: dict[str, FactValue] = {'alert.firing{alertname="HighCpu"}': True}
BUSY: dict[str, FactValue] = UP | FIRING | {"cpu.busy_percent": 97.0, "cpu.forks_per_s": 2.0}
QUIET: dict[str, FactValue] = {"net.connections_per_s": 1.0, 'port.connections{port="8080"}': 1}
LOADED: dict[str, FactValue] = {"net.connections_per_s": 80.0, 'port.connections{port="8080"}': 12}
QUOTA: dict[str, FactValue] = {"cpu.busy_percent": 94.0, "cpu.throttled_percent": 80.0, "cpu.used_percent": 24.0}
SMALL: dict[str, FactValue] = {"provider.instance_type": "t3.small"}


def process(pid: str, name: str, percent: float, unit: str | None = None, **more: FactValue) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {
        fact_key("process.cpu_percent", pid=pid, name=name): percent,
        fact_key("process.started", pid=pid): 4711,
        fact_key("process.parent", pid=pid): 1,
    }
    if unit:
        facts |= {
            fact_key("process.unit", pid=pid): unit,
            fact_key("unit.cpu_percent", unit=unit): percent,
            fact_key("unit.tasks", unit=unit): 1,
        }
    return facts | {fact_key(f"process.{key}", pid=pid): value for key, value in more.items()}


def requests(now: float, usual: float) -> dict[str, FactValue]:
    return {"metric.requests_per_s": now, "metric.requests_usual_per_s": usual}


BATCH = process("42", "sh", 95.0, "batch7.service") | {'unit.transient{unit="batch7.service"}': True}
BRIEF: dict[str, FactValue] = {'unit.brief_percent{unit="batch7.service"}': 90.0}
SHOP = process("7", "shopd", 90.0, "shopd")


def found(facts: dict[str, FactValue], resource: Resource = RESOURCE) -> tuple[Cause, Match] | None:
    known = Facts.of([("E1", facts)])
    matches = [(match, cause) for cause in INSTANCE.causes if (match := cause.signature(known, resource))]
    best = max(matches, key=lambda item: item[0].score, default=None)
    return (best[1], best[0]) if best else None


def plan(facts: dict[str, FactValue], resource: Resource = RESOURCE) -> list[tuple[PlanStep, ...]]:
    """The steps of every remedy that applies, in order."""
    known = Facts.of([("E1", facts)])
    result = found(facts, resource)
    assert result is not None
    cause, match = result
    return [steps for remedy in cause.remedies if (steps := remedy.steps(resource, match.target, known))]


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (BUSY | BATCH, "runaway_process"),
        (BUSY | BATCH | LOADED | SHOP | process("42", "sh", 95.0, "batch7.service"), "runaway_process"),
        (BUSY | process("42", "sh", 95.0), "runaway_process"),
        (BUSY | process("42", "sh", 95.0, "ssh.service"), "runaway_process"),
        (BUSY | BATCH | {"cpu.forks_per_s": 300.0} | BRIEF, "fork_storm"),
        (BUSY | BATCH | {"cpu.forks_per_s": 300.0}, "runaway_process"),  # somebody else's, or our own looking
        (BUSY | BATCH | BRIEF, "runaway_process"),
        (BUSY | BATCH | {'unit.tasks{unit="batch7.service"}': 150}, "fork_storm"),
        (BUSY | SHOP | QUIET, "runaway_service"),
        (BUSY | SHOP | QUIET | {"cpu.forks_per_s": 300.0}, "runaway_service"),
        (BUSY | SHOP | requests(10, 10), "runaway_service"),
        (BUSY | SHOP | requests(10, 10) | LOADED, "runaway_service"),
        (BUSY | SHOP | requests(10, 10) | {"metric.cpu_usual_percent": 12.0}, "runaway_service"),
        (BUSY | SHOP | requests(80, 75) | {"metric.cpu_usual_percent": 90.0}, "unknown"),
        (BUSY | SHOP | requests(0, 0) | {"metric.cpu_usual_percent": 90.0}, "runaway_service"),
        (BUSY | SHOP | LOADED, "legitimate_load"),
        (BUSY | SHOP | requests(90, 10), "legitimate_load"),
        (BUSY | SHOP | requests(90, 10) | QUIET, "legitimate_load"),
        (UP | FIRING | {"cpu.busy_percent": 61.0} | process("7", "shopd", 55.0, "shopd") | requests(90, 10), "unknown"),
        (BUSY | SHOP | {"net.connections_per_s": 9.0}, "unknown"),
        (BUSY | SHOP, "unknown"),
        (BUSY | process("9", "postgres", 80.0, "postgresql@15-main.service") | LOADED, "database_query"),
        (BUSY | process("9", "mariadbd", 80.0), "database_query"),
        (UP | FIRING | {"cpu.busy_percent": 40.0, "cpu.steal_percent": 55.0}, "cpu_steal"),
        (UP | FIRING | {"cpu.busy_percent": 50.0, "cpu.throttled_percent": 90.0}, "cpu_throttled"),
        (UP | FIRING | {"cpu.busy_percent": 50.0, "cpu.throttled_percent": 90.0} | BATCH, "runaway_process"),
        (UP | FIRING | QUOTA | process("42", "sh", 22.0, "batch7.service"), "runaway_process"),
        (UP | FIRING | QUOTA | process("7", "shopd", 22.0, "shopd") | LOADED, "legitimate_load"),
        (UP | FIRING | QUOTA | process("42", "sh", 5.0) | process("43", "sh", 5.0), "cpu_throttled"),
        (UP | FIRING | {"cpu.busy_percent": 65.0} | BATCH, "runaway_process"),
        (UP | FIRING | {"cpu.busy_percent": 30.0} | BATCH, "unknown"),
        (UP | {"cpu.busy_percent": 65.0} | BATCH, "unknown"),
        (BUSY | process("42", "sh", 30.0) | process("43", "sh", 30.0), "unknown"),
        (BUSY, "unknown"),
    ],
)
def test_the_facts_tell_why_the_cpu_is_busy(facts: dict[str, FactValue], cause: str) -> None:
    result = found(facts)
    assert (result[0].name if result else "unknown") == cause
    if result:
        assert result[1].cites


def test_a_service_of_another_manager_is_known_by_its_main_process() -> None:
    child = process("8", "python3", 90.0, "supervisor.service", parent=7) | {'unit.main_pid{unit="shopd"}': 7}
    result = found(BUSY | child | QUIET)
    assert result is not None and (result[0].name, result[1].target) == ("runaway_service", "shopd")


def test_a_runaway_is_stopped_by_its_unit_first_and_by_its_process_next() -> None:
    [[unit], [process_step]] = plan(BUSY | BATCH)
    same = {"pid": 42, "started": 4711, "name": "sh"}
    assert (unit.action, unit.params) == ("stop_unit", {"unit": "batch7.service", "transient": True} | same)
    assert (process_step.action, process_step.params) == ("stop_process", same)


@pytest.mark.parametrize(
    "unit", ["ssh.service", "cron.service", "session-3.scope", "user@1000.service", "docker.service"]
)
def test_a_unit_the_host_needs_is_not_stopped_for_a_process_in_it(unit: str) -> None:
    assert [[step.action for step in steps] for steps in plan(BUSY | process("42", "sh", 95.0, unit))] == [
        ["stop_process"]
    ]


def test_a_runaway_whose_start_is_not_known_is_left_to_a_human() -> None:
    facts = {key: value for key, value in (BUSY | BATCH).items() if not key.startswith("process.started")}
    assert plan(facts) == []
    result = found(facts)
    assert result is not None and result[0].human_must


def test_real_load_takes_the_next_larger_declared_type() -> None:
    [[step, wait]] = plan(BUSY | SHOP | LOADED | SMALL)
    assert (step.action, step.params) == ("resize_instance", {"instance_type": "t3.large"})
    assert (wait.action, wait.params["until"]) == ("wait", "answers")


@pytest.mark.parametrize(
    ("present", "most", "desired"),
    [(2, 8, 3), (3, 8, 4), (4, 8, None), (3, 3, None), (0, 8, None), (None, 8, None)],
)
def test_real_load_gets_one_more_instance_within_what_is_declared(
    present: int | None, most: int, desired: int | None
) -> None:
    grouped = RESOURCE.model_copy(update={"scaling": Scaling(auto_scaling_group="web", max_capacity=4)})
    capacity: dict[str, FactValue] = {"provider.capacity_most": most}
    if present is not None:
        capacity["provider.capacity"] = present
    steps = [step for each in plan(BUSY | SHOP | LOADED | capacity, grouped) for step in each]
    assert [step.params for step in steps] == ([{"present": present, "desired": desired}] if desired else [])


@pytest.mark.parametrize("known", [{"provider.instance_type": "t3.large"}, {"provider.instance_type": "m5.large"}, {}])
def test_real_load_at_the_cap_is_told_to_a_human(known: dict[str, Any]) -> None:
    facts = BUSY | SHOP | LOADED | known
    assert plan(facts) == []
    result = found(facts)
    assert result is not None and "the load is real" in result[0].human_must


def test_a_database_is_never_restarted_for_being_busy() -> None:
    busy_database = BUSY | process("9", "postgres", 80.0, "shopd") | QUIET
    result = found(busy_database)
    assert result is not None and (result[0].name, result[0].remedies) == ("database_query", ())


# -- ports and dependencies ------------------------------------------------------------------------------------

FAILED: dict[str, FactValue] = {"host.reachable": True, 'unit.state{unit="shopd"}': "failed"}
FAILED |= {'unit.result{unit="shopd"}': "exit-code"}
BOUND: dict[str, FactValue] = FAILED | {'journal.address_in_use{unit="shopd"}': True}


def holder(unit: str | None, pid: int = 77) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {
        'port.listening{port="8080"}': True,
        'port.process{port="8080"}': "python3",
        'port.pid{port="8080"}': pid,
        'port.started{port="8080"}': 4712,
    }
    return facts | ({'port.unit{port="8080"}': unit} if unit else {})


def test_who_took_the_port_is_stopped_and_the_service_started() -> None:
    [by_unit, by_process] = plan(BOUND | holder("batch7.service"))
    assert [step.action for step in by_unit] == ["stop_unit", "start_service"]
    assert by_unit[0].params == {
        "unit": "batch7.service", "pid": 77, "started": 4712, "name": "python3", "transient": False,
    }  # fmt: skip
    assert [step.action for step in by_process] == ["stop_process", "start_service"]
    assert by_unit[1].params == by_process[1].params == {"unit": "shopd"}


@pytest.mark.parametrize(
    ("facts", "actions"),
    [
        (holder("ssh.service"), [["stop_process", "start_service"]]),
        (holder(None), [["stop_process", "start_service"]]),
        ({}, []),
    ],
)
def test_a_port_is_freed_only_of_who_is_known(facts: dict[str, FactValue], actions: list[list[str]]) -> None:
    result = found(BOUND | facts)
    assert result is not None and result[0].name == "port_taken"
    assert [[step.action for step in steps] for steps in plan(BOUND | facts)] == actions


STOPPED: dict[str, FactValue] = {"host.reachable": True, 'unit.state{unit="shopd"}': "stopped"}


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (STOPPED, "service_stopped"),
        (STOPPED | holder("batch7.service"), "port_taken"),
        (STOPPED | holder(None), "port_taken"),
        (STOPPED | holder("shopd"), "service_stopped"),
        (FAILED | holder("batch7.service"), "port_taken"),
        (UP | holder("batch7.service"), "unknown"),
    ],
)
def test_a_stranger_on_the_port_is_seen_before_the_service_has_tried(facts: dict[str, FactValue], cause: str) -> None:
    result = found(facts)
    assert (result[0].name if result else "unknown") == cause


def test_two_declared_services_that_want_one_port_are_left_to_a_human() -> None:
    both = RESOURCE.model_copy(update={"services": ("shopd", "web")})
    result = found(BOUND | holder("web"), both)
    assert result is not None and "which of the two" in result[1].summary
    assert plan(BOUND | holder("web"), both) == []


LOST: dict[str, FactValue] = {
    'dependency.reachable{dependency="db:5432"}': False,
    'dependency.how{dependency="db:5432"}': "refused",
}
SAID: dict[str, FactValue] = {'journal.last_error{unit="shopd"}': "FATAL cannot reach upstream db:5432: refused"}
ILL: dict[str, FactValue] = UP | {'health.ok{check="http http://192.0.2.1:8080/"}': False}


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (FAILED | LOST | SAID, "dependency_down"),
        (FAILED | SAID, "process_crashed"),
        (ILL | LOST, "dependency_down"),
        (ILL | LOST | SAID, "dependency_down"),
        (ILL, "service_hung"),
        (UP | LOST, "unknown"),
        (FAILED | LOST | {'journal.config_error{unit="shopd"}': "line 3"}, "bad_configuration"),
    ],
)
def test_a_lost_dependency_explains_a_service_that_is_ill(facts: dict[str, FactValue], cause: str) -> None:
    result = found(facts)
    assert (result[0].name if result else "unknown") == cause


def test_nothing_is_restarted_for_a_lost_dependency_and_its_own_incident_is_named() -> None:
    facts = FAILED | LOST | SAID | {'dependency.incident{dependency="db:5432"}': "#7 service_down is running"}
    assert plan(facts) == []
    result = found(facts)
    assert result is not None
    assert "db:5432 (refused)" in result[1].summary and "#7 service_down is running" in result[1].summary
    assert "nothing here was restarted" in result[0].human_must
