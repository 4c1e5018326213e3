"""Who is told what and when, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from graph.records import Policy
from graph.rules.notifying import (
    EVENTS,
    Link,
    Listener,
    chain_done,
    due_links,
    folded_until,
    listeners_of,
    room,
    tells_opening,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
CHAIN = (Link(0, ("oncall",)), Link(15, ("lead",)), Link(60, ("boss", "lead")))
ALL = frozenset(EVENTS)


@pytest.mark.parametrize(
    ("minutes", "told", "stopped", "due"),
    [
        (0, (), False, [0]),
        (0, (0.0,), False, []),
        (14.9, (0.0,), False, []),
        (15, (0.0,), False, [15]),
        (15, (0.0, 15.0), False, []),
        (60, (0.0, 15.0), False, [60]),
        (61, (0.0,), False, [15, 60]),  # the server was down meanwhile
        (61, (), False, [0, 15, 60]),
        (15, (0.0,), True, []),
        (0, (), True, []),
        (999, (0.0, 15.0, 60.0), False, []),
    ],
)
def test_links_are_due_in_their_time_until_somebody_has_taken_note(
    minutes: float, told: Sequence[float], stopped: bool, due: list[float]
) -> None:
    found = due_links(CHAIN, T0, stopped, told, T0 + timedelta(minutes=minutes))
    assert [link.after_minutes for link in found] == due


def test_a_chain_is_done_when_every_link_was_told() -> None:
    assert not chain_done(CHAIN, (0.0, 15.0))
    assert chain_done(CHAIN, (0.0, 15.0, 60.0, 90.0))
    assert chain_done((), ())


@pytest.mark.parametrize(
    ("listener", "event", "before", "told"),
    [
        (Listener("a", ALL), "escalated", (), True),
        (Listener("a", ALL - {"opened"}), "opened", (), False),
        (Listener("a", frozenset({"escalated"})), "mitigated", (), False),
        (Listener("a", frozenset({"escalated"})), "mitigated", ("a",), True),
        (Listener("a", frozenset({"escalated"})), "approval_wanted", ("a",), False),
        (Listener("a", ALL, kinds=frozenset({"Instance"})), "escalated", (), True),
        (Listener("a", ALL, kinds=frozenset({"Database"})), "escalated", (), False),
        (Listener("a", ALL, groups=frozenset({"web"})), "escalated", (), True),
        (Listener("a", ALL, groups=frozenset({"db"})), "escalated", (), False),
        (Listener("oncall", ALL), "escalated", (), False),  # the chain's
        (Listener("lead", ALL), "approval_wanted", (), False),  # the chain's, later
        (Listener("lead", ALL), "mitigated", (), True),
    ],
)
def test_a_target_is_told_what_it_listens_to(listener: Listener, event: str, before: Sequence[str], told: bool) -> None:
    assert bool(listeners_of([listener], event, "Instance", "web", CHAIN, before)) is told


def test_a_resource_without_a_group_concerns_no_group() -> None:
    assert not Listener("a", ALL, groups=frozenset({"web"})).concerns("Instance", None)


@pytest.mark.parametrize(("ago", "left"), [((), 3), ((1, 2), 1), ((1, 2, 3, 4), 0), ((59, 60, 61), 2)])
def test_there_is_room_for_so_many_an_hour(ago: Sequence[int], left: int) -> None:
    assert room([T0 - timedelta(minutes=minutes) for minutes in ago], 3, T0) == left


@pytest.mark.parametrize(
    ("event", "minutes_ago", "until"),
    [
        ("escalated", None, None),
        ("escalated", 3, 7),
        ("mitigated", 9.5, 0.5),
        ("opened", 10, None),
        ("approval_wanted", 1, None),
    ],
)
def test_what_repeats_within_the_window_waits_for_its_end(
    event: str, minutes_ago: float | None, until: float | None
) -> None:
    last = None if minutes_ago is None else T0 - timedelta(minutes=minutes_ago)
    expected = None if until is None else T0 + timedelta(minutes=until)
    assert folded_until(event, last, timedelta(minutes=10), T0) == expected


def test_an_opening_is_told_where_that_very_policy_says_so() -> None:
    policy = Policy(resource_kind="Instance", issue_type="disk_full", auto_heal=True, max_retries=1, notify_opened=True)
    quiet = policy.model_copy(update={"issue_type": "high_cpu", "notify_opened": False})
    assert tells_opening([quiet, policy], "Instance", "disk_full")
    assert not tells_opening([quiet, policy], "Instance", "high_cpu")
    assert not tells_opening([quiet, policy], "Database", "disk_full")
    assert not tells_opening([], "Instance", "disk_full")
