"""Nodes one by one, with shipped fakes through their ports."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from graph.fakes import FakeSource
from graph.nodes.gather_context import gather_context
from graph.nodes.plan import plan
from graph.nodes.wait import wait
from graph.nodes.wrapper import Leg
from graph.ports import PlanRequest
from graph.records import Approval, Diagnosis, Plan, PlanStep, Wait
from graph.state import Heal, UnreadableState
from tests.flow.story import HOLDER, Story
from tools.redaction import redact

LEG = Leg(HOLDER, "task")


def heal(story: Story, **more: object) -> Heal:
    return Heal.model_validate({"incident": story.incident, **more})


async def test_evidence_is_numbered_in_the_order_of_the_sources_whoever_answers_first() -> None:
    story = Story()
    story.sources = [FakeSource("slow", before=lambda: story.clock.sleep(0)), FakeSource("quick")]
    found = (await gather_context(heal(story), story.deps, LEG))["evidence"]
    assert [(item.id, item.source) for item in found] == [("E1", "slow"), ("E2", "quick")]


async def test_a_source_that_fails_without_words_is_told_by_its_error() -> None:
    story = Story()
    story.sources = [FakeSource("mute", error=ConnectionResetError())]
    [found] = (await gather_context(heal(story), story.deps, LEG))["evidence"]
    assert (found.status, found.text) == ("failed", "ConnectionResetError")


async def test_what_a_source_fails_with_is_told_without_secrets() -> None:
    story = Story()
    story.sources = [FakeSource("leaky", error=ConnectionError("postgres://ops:hunter2@db refused"))]
    deps = replace(story.deps, redact=redact)
    [found] = (await gather_context(heal(story), deps, LEG))["evidence"]
    assert "hunter2" not in found.text and "refused" in found.text


async def test_long_evidence_is_cut_so_that_the_state_stays_small() -> None:
    story = Story()
    story.sources = [FakeSource("loud", error=ValueError("x" * 5000))]
    [found] = (await gather_context(heal(story), story.deps, LEG))["evidence"]
    assert len(found.text) <= 300


class Stubborn:
    """A reasoner that proposes the same forbidden step whatever is objected."""

    name = "stubborn"

    def __init__(self) -> None:
        self.asked: list[PlanRequest] = []

    async def diagnose(self, request: object) -> Diagnosis:
        raise AssertionError("only plans here")

    async def plan(self, request: PlanRequest) -> Plan:
        self.asked.append(request)
        return Plan(steps=(PlanStep(action="rm_rf", params={"path": "/"}),), summary="trust me")


async def test_a_plan_of_undeclared_actions_goes_back_with_the_reason_and_in_the_end_is_no_plan() -> None:
    story = Story()
    reasoner = Stubborn()
    deps = story.deps
    object.__setattr__(deps, "reasoner", reasoner)
    diagnosis = Diagnosis(suspected_cause="crashed", summary="s", confidence=1)
    update = await plan(heal(story, diagnosis=diagnosis), deps, LEG)
    assert update["plan"].steps == () and "rm_rf" in update["plan"].summary
    assert "not permitted" in reasoner.asked[-1].objections[0]
    assert story.actions.ran == []


async def test_an_edit_keeps_its_approval_for_the_plan_as_completed() -> None:
    story = Story()
    wanted = PlanStep(action="replace", params={"unit": "web"})
    asked = Plan(steps=(PlanStep(action="restart"),), summary="s")
    approval = Approval(
        decision="edit", by="ada", at=story.clock.now(), plan_fingerprint=asked.plan_fingerprint, steps=(wanted,)
    )
    diagnosis = Diagnosis(suspected_cause="crashed", summary="s", confidence=1)
    update = await plan(heal(story, diagnosis=diagnosis, plan=asked, approval=approval), story.deps, LEG)
    assert update["plan"].steps[0].rendered == "replace(unit=web)"
    assert update["approval"].plan_fingerprint == update["plan"].plan_fingerprint


@pytest.mark.parametrize(("seconds", "over"), [(0.0, True), (1.5, True), (30.0, False)])
async def test_a_short_rest_is_taken_in_place_a_long_one_in_pieces_where_no_runner_wakes(
    seconds: float, over: bool
) -> None:
    story = Story()
    deps = story.deps
    object.__setattr__(deps, "settings", type(deps.settings)(inline_waits=True))
    until = story.clock.now() + timedelta(seconds=seconds)
    update = await wait(heal(story, wait=Wait(until=until, reason="soak", then="verify")), deps, LEG)
    assert update["wait"].over is over


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"schema_version": 99}, "schema_version 99"),
        ({"incident": {"id": 7}}, "state key incident"),
        ({}, "state key incident"),
    ],
)
def test_a_state_that_cannot_be_read_names_the_key(state: dict[str, object], why: str) -> None:
    with pytest.raises(UnreadableState, match=why):
        Heal.read(state)
