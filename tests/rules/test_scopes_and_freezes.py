"""What a switch is about, and when a freeze window is open."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from graph.fakes import FakeClock
from graph.ports import FleetView, Hold
from graph.records import Plan, PlanStep
from graph.rules.freezing import FreezeWindow, frozen
from graph.rules.safety import hold
from graph.rules.scopes import covers, in_words, scope_problem

WEEKEND = FreezeWindow(name="weekend", starts="0 18 * * FRI", hours=62, timezone="Europe/Berlin", reason="the sale")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ("all", True),
        ("kind:Instance", True),
        ("kind:Database", False),
        ("group:web", True),
        ("group:db", False),
        ("resource:Instance/inst-1", True),
        ("resource:Instance/inst-2", False),
        ("resource:inst-1", False),
    ],
)
def test_a_scope_covers_what_it_names(scope: str, covered: bool) -> None:
    assert covers(scope, "Instance", "web", "inst-1") is covered


def test_a_resource_without_a_group_is_in_no_group() -> None:
    assert not covers("group:", "Instance", "", "inst-1")


@pytest.mark.parametrize("scope", ["", "web", "kind:", "host:web", "group: web", "ALL"])
def test_what_is_no_scope_is_refused_with_the_remedy(scope: str) -> None:
    problem = scope_problem(scope)
    assert problem is not None and "kind:Instance" in problem


def test_scopes_are_told_in_words() -> None:
    assert (in_words("all"), in_words("group:web")) == ("all repairs", "repairs of group web")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-10-23T15:59:59", None),
        ("2026-10-23T16:00:00", "2026-10-26T07:00:00"),
        ("2026-10-26T06:59:59", "2026-10-26T07:00:00"),  # clocks went back on Sunday: Berlin's Monday 8:00 is 7:00 UTC
        ("2026-10-26T07:00:00", None),
        ("2026-10-30T16:59:59", None),
        ("2026-10-30T17:00:00", "2026-11-02T07:00:00"),
    ],
)
def test_a_window_opens_and_ends_by_the_clocks_of_its_time_zone(now: str, until: str | None) -> None:
    assert WEEKEND.until(at(now)) == (at(until) if until else None)


def test_what_is_frozen_waits_until_the_last_open_window_is_over_and_says_why() -> None:
    nightly = FreezeWindow(name="nightly", starts="0 0 * * *", hours=6, scope="group:web")
    held = frozen([WEEKEND, nightly], "Instance", "web", "inst-1", at("2026-10-24T03:00:00"))
    assert held == Hold(
        "freeze_window",
        "freeze window weekend (all repairs) until 2026-10-26 08:00 Europe/Berlin: the sale",
        at("2026-10-26T07:00:00"),
    )
    assert frozen([nightly], "Instance", "db", "inst-1", at("2026-10-24T03:00:00")) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"starts": "0 18 * *"}, "five crontab fields"),
        ({"starts": "0 0 30 2 *"}, "no day that ever comes"),
        ({"timezone": "Mars/Base"}, "Europe/Berlin"),
        ({"scope": "web"}, "kind:Instance"),
        ({"hours": 0}, "greater than 0"),
    ],
)
def test_a_window_that_would_freeze_nothing_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FreezeWindow.model_validate({"name": "x", "starts": "0 18 * * FRI", "hours": 1, **wrong})


def test_a_freeze_holds_a_plan_that_changes_something_and_no_other() -> None:
    now = FakeClock().now()
    view = FleetView(frozen=Hold("freeze_window", "frozen", now))
    changing = Plan(steps=(PlanStep(action="restart", risk="disruptive"),), summary="x")
    looking = Plan(steps=(PlanStep(action="look", risk="read_only"),), summary="x")
    assert hold(changing, view, 12, now) == view.frozen
    assert hold(looking, view, 12, now) is None
