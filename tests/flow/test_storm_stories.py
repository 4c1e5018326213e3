"""What is part of a storm, or flaps, waits with its plan before anybody is asked. Fakes stand in for the world."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agents.legs import Resting, WaitingForApproval
from graph.ports import FleetView, Hold
from tests.flow.story import Story, answer, policy
from tests.flow.test_heal_stories import outcome


def held(story: Story, rule: str) -> FleetView:
    hold: Any = {rule: Hold(rule, f"{rule}: it waits", story.clock.now() + timedelta(seconds=120))}
    return FleetView(**hold)


@pytest.mark.parametrize("rule", ["storm", "flapping"])
async def test_a_plan_waits_and_says_why_and_runs_when_it_is_over(rule: str) -> None:
    story = Story()
    story.fleet.seen = held(story, rule)
    end = await story.leg()
    assert isinstance(end, Resting) and end.reason == f"{rule}: it waits" and story.actions.ran == []
    story.fleet.seen = FleetView()
    # Woken before its time, it asks the gate again.
    assert outcome(await story.heal()).status == "mitigated"


@pytest.mark.parametrize("rule", ["storm", "flapping"])
async def test_nobody_is_asked_about_it_until_it_is_over(rule: str) -> None:
    story = Story(policies=(policy(auto_heal=False),))
    story.fleet.seen = held(story, rule)
    assert isinstance(await story.leg(), Resting)
    story.fleet.seen = FleetView()
    assert isinstance(await story.heal(), WaitingForApproval)


async def test_what_was_approved_before_the_storm_waits_too() -> None:
    story = Story(policies=(policy(auto_heal=False),))
    asked = await story.heal()
    story.fleet.seen = held(story, "storm")
    assert isinstance(await story.leg(decision=answer("approve", asked)), Resting) and story.actions.ran == []
