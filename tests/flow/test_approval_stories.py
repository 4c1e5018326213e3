"""What people answer to a plan, and what comes of it. Fakes stand in for the world; the graph is the real one."""

from __future__ import annotations

import json

from agents.legs import Finished, WaitingForApproval
from agents.reasoning.runbook import RunbookReasoner
from graph.records import Stop
from tests.flow.story import Story, answer, policy
from tests.flow.test_heal_stories import outcome


def asking_story(**more: object) -> Story:
    story = Story(policies=(policy(auto_heal=False, **more),))
    story.reasoner = RunbookReasoner()
    return story


async def test_a_request_says_what_is_suspected_what_it_reaches_what_undoes_it_and_what_if_nobody_answers() -> None:
    asked = await asking_story(approval_timeout_seconds=600).heal()
    assert isinstance(asked, WaitingForApproval)
    told = asked.request["details"]
    assert told["suspected_cause"] == "crashed" and told["evidence"][0]["id"] == "E1"
    [step] = told["steps"]
    assert (step["rendered"], step["risk"]) == ("restart(unit=web)", "disruptive")
    assert told["risk_means"] == "interrupts what it touches for a moment"
    assert "Instance/inst-1" in told["blast_radius"]
    assert told["undo"] == "nothing undoes restart"
    assert told["if_unanswered"] == "within 10 min: nothing runs, and it is escalated to a human"
    assert "auto_heal false" in told["asked_because"]


async def test_a_rejection_that_wants_another_plan_gets_the_next_remedy_and_remembers_what_was_said() -> None:
    story = asking_story()
    asked = await story.heal()
    again = await story.heal(decision=answer("reject", asked, message="a restart drops sessions", then="replan"))
    assert isinstance(again, WaitingForApproval)
    assert [step.action for step in again.plan.steps] == ["replace"]
    [attempt] = (await story.state())["attempts"]
    assert attempt["rejected"] and attempt["why_ended"] == "rejected by ada: a restart drops sessions"
    end = outcome(await story.heal(decision=answer("approve", again)))
    assert (end.status, end.attempts, story.actions.ran) == ("mitigated", 1, ["replace"])


async def test_rejections_use_up_no_retry_and_end_when_no_remedy_is_left() -> None:
    story = asking_story(max_retries=1)
    end = await story.heal()
    for _ in range(3):
        assert isinstance(end, WaitingForApproval)
        end = await story.heal(decision=answer("reject", end, message="no", then="replan"))
    assert isinstance(end, Finished)
    assert (end.outcome.status, end.outcome.rule, story.actions.ran) == ("escalated", "no_remedy", [])


async def test_a_policy_says_how_long_a_human_is_waited_for() -> None:
    story = asking_story(approval_timeout_seconds=90)
    asked = await story.heal()
    assert isinstance(asked, WaitingForApproval)
    assert (asked.expires_at - story.clock.now()).total_seconds() == 90


async def test_where_policy_says_so_what_nobody_answered_is_closed_rather_than_escalated() -> None:
    story = asking_story(on_expiry="close")
    asked = await story.heal()
    end = outcome(await story.heal(decision=answer("expire", asked, message="asked 03:00, expired 04:00")))
    assert (end.status, end.rule, story.actions.ran) == ("declined", "approval_expired", [])


async def test_a_human_who_takes_over_stops_the_heal_between_side_effects() -> None:
    story = asking_story()
    await story.heal()
    story.directives.said = Stop(rule="taken_over", reason="taken over by ada", by="ada")
    end = outcome(await story.heal())
    assert (end.status, end.rule, story.actions.ran) == ("escalated", "taken_over", [])
    assert "before anything ran" in end.reason


async def test_steps_may_be_put_in_another_order_and_more_be_added_under_a_new_fingerprint() -> None:
    story = asking_story()
    asked = await story.heal()
    assert isinstance(asked, WaitingForApproval)
    steps = [{"action": "replace", "params": {"unit": "web"}}, {"action": "restart", "params": {"unit": "web"}}]
    edited = {"name": "run_plan", "args": {"steps": steps}}
    end = outcome(await story.heal(decision=answer("edit", asked, edited_action=edited)))
    assert (end.status, story.actions.ran) == ("mitigated", ["replace", "restart"])
    assert (await story.state())["approval"]["plan_fingerprint"] != asked.plan.plan_fingerprint


async def test_what_no_longer_holds_when_approved_is_not_run() -> None:
    story = asking_story()
    asked = await story.heal()
    story.actions.preconditions["restart"] = "web is being deployed"
    end = await story.heal(decision=answer("approve", asked))
    assert "restart" not in story.actions.ran
    assert isinstance(end, WaitingForApproval), "the next remedy is another plan: asked anew"


async def test_the_request_is_json_and_small() -> None:
    asked = await asking_story().heal()
    assert isinstance(asked, WaitingForApproval)
    assert len(json.dumps(asked.request)) < 4_000
