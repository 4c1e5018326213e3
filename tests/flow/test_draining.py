"""A worker that is asked to go: what runs ends its step, what is only now begun ends its first, others go on."""

from __future__ import annotations

from agents.legs import Finished, Resting
from tests.flow.story import HOLDER, Story


async def test_a_heal_that_begins_as_the_worker_goes_rests_after_a_step_and_is_ended_by_another() -> None:
    story = Story()
    going = story.agent()
    going.drain()
    end = await going.heal(story.incident, holder=HOLDER)
    assert isinstance(end, Resting) and "shutting down" in end.reason
    assert story.actions.ran == [] and len(story.chronicle.nodes) <= 1
    end = await story.heal()
    assert isinstance(end, Finished) and end.outcome.status == "mitigated"
    assert story.actions.ran == ["restart"] and story.chronicle.nodes.count("gather_context") == 1
