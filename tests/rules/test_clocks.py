"""What may be concluded from two times by a clock that jumps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from graph.ports import FleetView
from graph.records import Plan, PlanStep
from graph.rules import safety
from graph.rules.clocks import set_back_since, unseen
from graph.rules.notifying import Link, due_links, folded_until
from tools.actions.boots import Boot, _by_age

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.mark.parametrize(("now", "back"), [(0, False), (3600, False), (-60, False), (-61, True), (-7200, True)])
def test_a_minute_is_a_difference_of_clocks_more_is_a_clock_that_was_set_back(now: float, back: bool) -> None:
    assert set_back_since(T0, after(now)) is back


@pytest.mark.parametrize(
    ("now", "not_counted"), [(10, 0), (5, 0), (69, 0), (71, 61), (3610, 3600), (-1, -11), (-3600, -3610)]
)
def test_between_two_looks_passed_what_was_planned_where_the_clock_can_not_be_believed(
    now: float, not_counted: float
) -> None:
    assert unseen(T0, after(10), after(now)) == timedelta(seconds=not_counted)


def test_a_rate_limit_holds_for_an_hour_at_most_after_the_clock_was_set_back() -> None:
    plan = Plan(steps=(PlanStep(action="restart", rendered="restart", risk="disruptive"),), summary="restart")
    held = safety.hold(plan, FleetView(recent_actions=12, oldest_recent_at=after(18_000)), 12, T0)
    assert held is not None and held.until == after(3600)


def test_who_is_called_later_is_called_now_where_nobody_knows_how_long_ago_the_first_was() -> None:
    chain = (Link(0, ("a",)), Link(15, ("b",)))
    assert [link.to for link in due_links(chain, T0, False, [0], after(60))] == []
    assert [link.to for link in due_links(chain, T0, False, [0], after(-7200))] == [("b",)]


def test_a_repeat_is_folded_for_no_longer_than_its_window() -> None:
    window = timedelta(minutes=10)
    assert folded_until("escalated", after(7200), window, T0) == after(600)


def test_a_boot_is_not_judged_by_a_clock_that_was_set_back() -> None:
    assert _by_age(Boot("b", 30), timedelta(seconds=-7200)).effect == "unknown"
    assert _by_age(Boot("b", 30), timedelta(seconds=60)).effect == "took_effect"
