"""How many may be under repair at once, how often may be acted, and how long a resource rests: numbers and reasons."""

from __future__ import annotations

from datetime import timedelta

import pytest

from graph.fakes import FakeClock
from graph.ports import FleetView, Hold
from graph.records import Plan, PlanStep, Risk
from graph.rules.budget import (
    FleetLimits,
    GroupLimits,
    UnderRepair,
    allowed,
    cooling,
    disrupts,
    no_place,
    share_problem,
    too_often,
)
from graph.rules.safety import hold, resource_rate

NOW = FakeClock().now()
FIRST = UnderRepair(12, "Instance/web-1", "host/web-1")
HELD = Hold("fleet_budget", "full", NOW)


def plan(*risks: Risk) -> Plan:
    return Plan(steps=tuple(PlanStep(action=f"{risk}_action", risk=risk) for risk in risks), summary="x")


@pytest.mark.parametrize(
    ("share", "machines", "places"),
    [
        ("25%", 0, 1),
        ("25%", 1, 1),
        ("25%", 7, 1),
        ("25%", 8, 2),
        ("25%", 11, 2),
        ("29%", 100, 29),  # 28.999… in floating point
        ("12.5%", 16, 2),
        ("100%", 5, 5),
        (3, 100, 3),
        (3, 1, 3),
    ],
)
def test_a_share_is_rounded_down_but_one_may_always_be_repaired(share: int | str, machines: int, places: int) -> None:
    assert allowed(share, machines) == places


@pytest.mark.parametrize("share", [0, -1, "0%", "0.0%", "101%", "25", "a quarter", "", "-5%"])
def test_what_is_no_number_and_no_share_is_refused_with_the_remedy(share: int | str) -> None:
    problem = share_problem(share)
    assert problem is not None and "25%" in problem


def test_a_group_has_its_own_limits_where_it_is_given_some() -> None:
    limits = FleetLimits("25%", 20, groups={"web": GroupLimits(3), "db": GroupLimits(None, 2)}, machines={"db": 8})
    assert (limits.places("web"), limits.places("db"), limits.places("new")) == (3, 2, 1)
    assert (limits.group_rate("web"), limits.group_rate("db"), limits.group_rate("new")) == (20, 2, 20)


def test_the_last_place_is_given_and_no_more_and_the_reason_names_numbers_and_incidents() -> None:
    limits = FleetLimits(machines={"web": 4})
    assert no_place(limits, "web", "host/web-2", [], NOW) is None
    held = no_place(limits, "web", "host/web-2", [FIRST], NOW)
    assert held == Hold(
        "fleet_budget",
        "group web: 1 of 4 machines under disruptive repair (at most 1 at once): #12 (Instance/web-1)",
        NOW + timedelta(seconds=30),
    )


def test_a_long_list_of_others_is_cut() -> None:
    others = [UnderRepair(n, f"Instance/web-{n}", f"host/web-{n}") for n in range(1, 9)]
    held = no_place(FleetLimits(8), "web", "host/web-9", others, NOW)
    assert held is not None and held.reason.endswith("#5 (Instance/web-5) and 3 more")


def test_what_runs_on_a_machine_under_repair_takes_no_second_place() -> None:
    assert no_place(FleetLimits(1), "web", "host/web-1", [FIRST], NOW) is None
    both = [FIRST, UnderRepair(13, "Database/db-1", "host/web-1")]
    assert no_place(FleetLimits(2), "web", "host/web-2", both, NOW) is None


def test_what_has_no_group_is_a_group_of_its_own() -> None:
    assert no_place(FleetLimits(1), "", "host/web-2", [FIRST], NOW) is None


def test_only_disruptive_and_destructive_plans_need_a_place() -> None:
    view = FleetView(no_place=HELD)
    assert [disrupts(risk) for risk in ("read_only", "low", "disruptive", "destructive")] == [False, False, True, True]
    assert hold(plan("low"), view, 12, NOW) is None
    assert hold(plan("low", "disruptive"), view, 12, NOW) == HELD
    assert hold(plan("destructive"), view, 12, NOW) == HELD


def test_a_rate_is_held_until_the_last_hour_has_room_again() -> None:
    starts = [NOW - timedelta(minutes=minutes) for minutes in (5, 20, 50, 61)]
    assert too_often("reboot on all resources", starts, 4, NOW) is None
    assert too_often("reboot on all resources", starts, None, NOW) is None
    held = too_often("reboot on all resources", starts, 2, NOW)
    assert held == Hold(
        "rate_limit",
        "reboot on all resources: 3 in the last hour (at most 2)",
        NOW + timedelta(minutes=40),  # the second but last leaves the hour: then one is left
    )


def test_a_rate_of_nothing_is_looked_at_again_in_an_hour() -> None:
    held = too_often("reboot on all resources", [], 0, NOW)
    assert held is not None and held.until == NOW + timedelta(hours=1)


def test_a_plan_with_one_action_that_was_done_too_often_waits_as_a_whole() -> None:
    spent = Hold("rate_limit", "too often", NOW)
    view = FleetView(actions_spent={"disruptive_action": spent})
    assert hold(plan("low", "disruptive"), view, 12, NOW) == spent
    assert hold(plan("low"), view, 12, NOW) is None
    assert hold(plan("low"), FleetView(group_spent=spent), 12, NOW) == spent


def test_the_rate_of_a_resource_is_told_with_its_numbers() -> None:
    held = resource_rate(12, NOW - timedelta(minutes=50), 12, NOW)
    assert held is not None and held.until == NOW + timedelta(minutes=10) and "at most 12" in held.reason
    assert resource_rate(11, NOW, 12, NOW) is None


def test_after_an_escalation_the_resource_is_left_alone_for_a_time_that_the_reason_tells() -> None:
    limits = FleetLimits(cool_down_seconds=900)
    held = cooling(7, NOW - timedelta(seconds=60), limits, NOW)
    assert held is not None and (held.rule, held.until) == ("cool_down", NOW + timedelta(seconds=840))
    assert "#7" in held.reason and "900 s" in held.reason and "retry" in held.reason
    assert cooling(7, NOW - timedelta(seconds=900), limits, NOW) is None
    assert cooling(7, NOW, FleetLimits(cool_down_seconds=0), NOW) is None


def test_what_a_human_approved_is_not_held_by_a_cool_down_but_by_the_budget() -> None:
    cool = Hold("cool_down", "left alone", NOW)
    assert hold(plan("disruptive"), FleetView(cooling=cool, no_place=HELD), 12, NOW) == cool
    assert hold(plan("disruptive"), FleetView(cooling=cool, no_place=HELD), 12, NOW, approved=True) == HELD
