"""What others have silenced waits, and says so; then it is healed. Fakes stand in for the world."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents.legs import Resting, WaitingForApproval
from graph.fakes import FakeSuppressions
from graph.ports import TemporaryError
from graph.records import Policy
from tests.flow.story import Story, answer, policy
from tests.flow.test_heal_stories import outcome


def silenced_story(*policies: Policy) -> Story:
    story = Story(policies=policies or (policy(),))
    [alert] = story.incident.alerts
    story.suppressions = FakeSuppressions({alert.fingerprint: "silenced by alice until 03:40 UTC: 'maintenance'"})
    return story


async def test_a_silenced_alert_is_held_with_the_reason_and_healed_once_it_is_not() -> None:
    story = silenced_story()
    end = await story.leg()
    assert isinstance(end, Resting) and end.until == story.clock.now() + timedelta(seconds=30)
    assert "silenced by alice until 03:40 UTC: 'maintenance'" in end.reason
    assert "(Instance, service_down) does not heal silenced alerts" in end.reason
    story.clock.at = end.until
    assert isinstance(await story.leg(), Resting) and story.actions.ran == []
    story.suppressions = FakeSuppressions()
    story.clock.at += timedelta(seconds=30)
    assert outcome(await story.heal()).status == "mitigated"
    assert story.actions.ran == ["restart"]


async def test_nobody_is_asked_about_what_somebody_has_silenced() -> None:
    story = silenced_story(policy(auto_heal=False))
    assert isinstance(await story.leg(), Resting)
    story.suppressions = FakeSuppressions()
    story.clock.at += timedelta(seconds=30)
    asked = await story.heal()
    assert isinstance(asked, WaitingForApproval)


async def test_what_was_approved_waits_too_where_it_was_silenced_meanwhile() -> None:
    story = Story(policies=(policy(auto_heal=False),))
    asked = await story.heal()
    story.suppressions = silenced_story().suppressions
    end = await story.leg(decision=answer("approve", asked))
    assert isinstance(end, Resting) and "alice" in end.reason and story.actions.ran == []


async def test_a_policy_may_heal_silenced_alerts() -> None:
    story = silenced_story(policy(heal_silenced=True))
    assert outcome(await story.heal()).status == "mitigated"


@pytest.mark.parametrize("auto_heal", [True, False])
async def test_where_it_can_t_be_asked_nothing_hangs_and_the_record_says_so(auto_heal: bool) -> None:
    story = Story(policies=(policy(auto_heal=auto_heal),))
    story.suppressions = FakeSuppressions(error=TemporaryError("Alertmanager at http://am can't be reached"))
    end = await story.heal()
    if auto_heal:
        assert outcome(end).status == "mitigated"
    else:
        assert isinstance(end, WaitingForApproval)
    told = [entry.sentence for entry in story.chronicle.entries.values() if entry.node == "gate"]
    assert "whether its alerts are silenced could not be asked: Alertmanager at http://am" in told[0]
