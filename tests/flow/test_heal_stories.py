"""How a heal goes, told as an operator would tell it. Fakes stand in for the world; the graph is the real one."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from agents.legs import Finished, LegEnd, Resting, WaitingForApproval
from graph.facts import fact_key
from graph.fakes import FakeSource
from graph.ports import ActionOutput, AlreadyStarted, FleetView, Hold, LeaseLost, Probe, Refusal
from graph.records import ActionResult, Observation, Outcome, PlanStep, Stop
from tests.flow.story import FAIL, HOLDER, INCIDENT_ID, KIND, NOT_YET, PASS, Story, answer, crashed_web, policy


def outcome(end: LegEnd) -> Outcome:
    assert isinstance(end, Finished), end
    return end.outcome


async def test_a_crashed_service_is_restarted_seen_healthy_and_mitigated() -> None:
    story = Story()
    end = outcome(await story.heal())
    assert (end.status, end.attempts, story.actions.ran) == ("mitigated", 1, ["restart"])
    assert "held for" in end.reason
    assert end.times.first_action and end.times.verified and end.times.diagnosed and end.times.closed


async def test_the_nodes_are_told_in_the_order_of_the_walk() -> None:
    story = Story()
    await story.heal()
    assert story.chronicle.nodes == ["gather_context", "diagnose", "plan", "gate", "execute", "verify", "close"]


async def test_healed_means_seen_healthy_for_the_soak_time() -> None:
    story = Story(rounds=((NOT_YET,), (PASS,), (NOT_YET,), (PASS,)))
    began = story.clock.now()
    end = outcome(await story.heal())
    assert end.status == "mitigated"
    assert story.health.asked >= 5
    assert end.times.verified and (end.times.verified - began).total_seconds() > 2


async def test_without_a_policy_a_human_is_asked_and_nothing_runs() -> None:
    story = Story(policies=())
    end = await story.heal()
    assert isinstance(end, WaitingForApproval)
    assert story.actions.ran == []
    [request] = end.request["action_requests"]
    assert request["name"] == "run_plan"
    assert request["args"]["plan_fingerprint"] == end.plan.plan_fingerprint
    assert "restart(unit=web)" in request["description"]


async def test_an_approved_plan_runs_even_after_a_restart_of_the_process() -> None:
    story = Story(policies=(policy(auto_heal=False),))
    asked = await story.heal()
    end = outcome(await story.heal(decision=answer("approve", asked)))
    assert (end.status, story.actions.ran) == ("mitigated", ["restart"])
    assert end.times.approved is not None


async def test_asking_again_without_a_decision_keeps_waiting() -> None:
    story = Story(policies=())
    await story.heal()
    assert isinstance(await story.heal(), WaitingForApproval)
    assert story.actions.ran == []


async def test_a_rejected_plan_is_declined_with_the_comment() -> None:
    story = Story(policies=())
    asked = await story.heal()
    end = outcome(await story.heal(decision=answer("reject", asked, message="not during the sale")))
    assert (end.status, story.actions.ran, end.attempts) == ("declined", [], 0)
    assert "ada" in end.reason and "not during the sale" in end.reason


async def test_an_edited_plan_is_checked_like_any_other_and_runs_as_edited() -> None:
    story = Story(policies=())
    asked = await story.heal()
    edited = {"name": "run_plan", "args": {"steps": [{"action": "replace", "params": {"unit": "web"}}]}}
    end = outcome(await story.heal(decision=answer("edit", asked, edited_action=edited)))
    assert (end.status, story.actions.ran) == ("mitigated", ["replace"])


async def test_an_edit_that_names_an_action_not_permitted_is_turned_down_and_asked_again() -> None:
    story = Story(policies=())
    asked = await story.heal()
    edited = {"name": "run_plan", "args": {"steps": [{"action": "format_disk"}]}}
    end = await story.heal(decision=answer("edit", asked, edited_action=edited))
    assert isinstance(end, WaitingForApproval)
    assert "format_disk" in end.plan.summary
    assert story.actions.ran == []


async def test_an_answer_nobody_can_read_is_asked_again() -> None:
    story = Story(policies=())
    await story.heal()
    end = await story.heal(decision={"decisions": [{"type": "shrug"}]})
    assert isinstance(end, WaitingForApproval)
    assert "shrug" in end.gate.reason


async def test_an_approval_of_another_plan_does_not_count() -> None:
    story = Story(policies=())
    asked = await story.heal()
    stale = answer("approve", asked) | {"plan_fingerprint": "0123456789abcdef"}
    assert isinstance(await story.heal(decision=stale), WaitingForApproval)
    assert story.actions.ran == []


async def test_an_expired_approval_escalates() -> None:
    story = Story(policies=())
    asked = await story.heal()
    end = outcome(await story.heal(decision=answer("expire", asked, message="60 min without an answer")))
    assert (end.status, end.rule) == ("escalated", "approval_expired")


async def test_alerts_that_resolve_while_waiting_close_it_as_self_resolved() -> None:
    story = Story(policies=())
    await story.heal()
    story.directives.said = Stop(rule="alerts_resolved", reason="all alerts resolved")
    end = outcome(await story.heal())
    assert (end.status, story.actions.ran) == ("self_resolved", [])


async def test_a_failed_attempt_is_retried_with_the_next_remedy_and_remembers_why() -> None:
    story = Story(rounds=((FAIL,), (PASS,)))
    end = outcome(await story.heal())
    assert (end.status, end.attempts, story.actions.ran) == ("mitigated", 2, ["restart", "replace"])
    attempts = (await story.state())["attempts"]
    assert attempts[0]["why_ended"] == "service web: web is failed"


async def test_the_same_plan_is_never_tried_twice() -> None:
    story = Story(rounds=((FAIL,),), policies=(policy(max_retries=9, allow_destructive=("rebuild",)),))
    end = outcome(await story.heal())
    assert end.status == "escalated"
    assert story.actions.ran == ["restart", "replace", "rebuild"]


async def test_retries_used_up_escalates() -> None:
    story = Story(rounds=((FAIL,),), policies=(policy(max_retries=2),))
    end = outcome(await story.heal())
    assert (end.status, end.rule, end.attempts) == ("escalated", "max_retries", 2)
    assert story.actions.ran == ["restart", "replace"]


async def test_max_retries_zero_never_acts() -> None:
    story = Story(policies=(policy(max_retries=0),))
    end = outcome(await story.heal())
    assert (end.status, story.actions.ran) == ("escalated", [])


async def test_a_destructive_action_asks_unless_the_policy_names_it() -> None:
    story = Story(rounds=((FAIL,), (FAIL,), (PASS,)))
    end = await story.heal()
    assert isinstance(end, WaitingForApproval)
    assert story.actions.ran == ["restart", "replace"]
    assert "destructive" in end.gate.reason


async def test_what_a_restart_cannot_mend_escalates_with_the_offending_line() -> None:
    facts = {fact_key("journal.config_error", unit="web"): 'web.json:3: "prot": 80', **Story().facts}
    story = Story(facts=facts)
    end = outcome(await story.heal())
    assert (end.status, end.rule, story.actions.ran) == ("escalated", "no_remedy", [])
    told = " ".join(entry.sentence for entry in story.chronicle.entries.values())
    assert 'web.json:3: "prot": 80' in told


async def test_a_healthy_resource_is_not_touched() -> None:
    story = Story(facts={fact_key("unit.state", unit="web"): "running"})
    end = outcome(await story.heal())
    assert (end.status, end.rule, story.actions.ran) == ("self_resolved", "no_fault", [])


async def test_an_unknown_cause_escalates_without_touching_anything() -> None:
    story = Story(facts={})
    end = outcome(await story.heal())
    assert (end.status, end.rule, story.actions.ran) == ("escalated", "cause_unknown", [])


async def test_a_source_that_hangs_or_breaks_is_told_and_stops_nobody_else() -> None:
    async def hang() -> None:
        await asyncio.sleep(3600)

    story = Story()
    story.sources += [
        FakeSource("hung", before=hang, deadline_seconds=0.05),
        FakeSource("broken", error=OSError("no route to host")),
    ]
    assert outcome(await story.heal()).status == "mitigated"
    evidence = {item["source"]: item for item in (await story.state())["evidence"]}
    assert evidence["hung"]["status"] == "failed" and "no answer within" in evidence["hung"]["text"]
    assert "no route to host" in evidence["broken"]["text"]


async def test_a_failed_undo_escalates_and_a_good_one_is_told() -> None:
    story = Story(rounds=((FAIL,), (PASS,)))
    story.actions.undos = {"restart": PlanStep(action="look", params={}, rendered="look()", risk="read_only")}
    end = outcome(await story.heal())
    assert (end.status, story.actions.ran) == ("mitigated", ["restart", "look", "replace"])
    story = Story(rounds=((FAIL,), (PASS,)))
    story.actions.undos = {"restart": PlanStep(action="replace", params={}, rendered="replace()", risk="low")}
    story.actions.answers = {"replace": [ActionOutput("failed", "could not")]}
    end = outcome(await story.heal())
    assert (end.status, end.rule, story.actions.ran) == ("escalated", "rollback_failed", ["restart", "replace"])


async def test_an_effect_that_cannot_be_proven_escalates_and_is_never_repeated() -> None:
    story = Story()
    story.actions.answers = {"restart": [ActionOutput("unknown", "connection cut")]}
    end = outcome(await story.heal())
    assert (end.status, end.rule, story.actions.ran) == ("escalated", "effect_unknown", ["restart"])


async def test_an_effect_found_out_afterwards_counts_as_done() -> None:
    story = Story()
    story.actions.answers = {"restart": [ActionOutput("unknown", "connection cut")]}
    story.actions.probes = {"restart": Probe("took_effect", "the unit has a new invocation id")}
    assert outcome(await story.heal()).status == "mitigated"
    assert story.actions.ran == ["restart"]


def _begun(story: Story, result: ActionResult | None = None) -> None:
    now = story.clock.now()
    story.journal.entries[f"{INCIDENT_ID}:1:0"] = AlreadyStarted(now, now + timedelta(seconds=30), {}, result)


async def test_a_step_begun_by_a_dead_worker_whose_effect_is_there_is_taken_as_done() -> None:
    story = Story()
    story.actions.probes = {"restart": Probe("took_effect", "new invocation id")}
    _begun(story)
    assert outcome(await story.heal()).status == "mitigated"
    assert story.actions.ran == []


async def test_a_step_begun_by_a_dead_worker_whose_effect_is_not_there_yet_is_waited_out() -> None:
    story = Story()
    story.actions.probes = {"restart": Probe("no_effect", "same invocation id")}
    _begun(story)
    end = await story.leg()
    assert isinstance(end, Resting) and story.actions.ran == []
    story.actions.probes = {"restart": Probe("took_effect", "new invocation id")}
    assert outcome(await story.heal()).status == "mitigated"
    assert story.actions.ran == []


async def test_a_step_that_took_effect_but_ended_badly_is_a_failed_one() -> None:
    story = Story(policies=(policy(max_retries=1),))
    story.actions.probes = {"restart": Probe("took_effect", "ended with exit status 5", exit_status=5)}
    _begun(story)
    end = outcome(await story.heal())
    assert (end.status, end.rule, story.actions.ran) == ("escalated", "max_retries", [])


async def test_a_step_proven_without_effect_is_begun_again_once() -> None:
    story = Story()
    story.actions.probes = {"restart": Probe("no_effect", "same invocation id")}
    _begun(story)
    end = outcome(await story.heal())
    assert (end.status, end.attempts, story.actions.ran) == ("mitigated", 1, ["restart"])


async def test_a_step_whose_end_was_written_is_taken_as_it_ended() -> None:
    story = Story()
    key = f"{INCIDENT_ID}:1:0"
    now = story.clock.now()
    done = ActionResult(idempotency_key=key, action="restart", step=0, status="succeeded", started_at=now)
    _begun(story, done)
    assert outcome(await story.heal()).status == "mitigated"
    assert story.actions.ran == []


async def test_a_worker_that_lost_its_lease_acts_no_more_and_writes_nothing() -> None:
    story = Story()
    story.journal.holder = "worker-2:2"
    with pytest.raises(LeaseLost):
        await story.leg()
    assert story.actions.ran == []
    story.journal.holder = HOLDER
    assert outcome(await story.heal()).status == "mitigated"


async def test_a_paused_fleet_holds_the_plan_and_goes_on_when_resumed() -> None:
    story = Story()
    story.fleet.seen = FleetView(paused="by ada: change freeze")
    end = await story.leg()
    assert isinstance(end, Resting) and "change freeze" in end.reason and story.actions.ran == []
    story.fleet.seen = FleetView()
    assert outcome(await story.heal()).status == "mitigated"


async def test_a_hold_found_in_the_moment_of_beginning_waits_and_then_acts() -> None:
    story = Story()
    story.journal.verdict = Hold("leased", "host/192.0.2.1 is being rebuilt", story.clock.now() + timedelta(seconds=60))
    end = await story.leg()
    assert isinstance(end, Resting) and "rebuilt" in end.reason
    assert outcome(await story.heal()).status == "mitigated"
    assert story.actions.ran == ["restart"]


async def test_a_cancel_before_anything_ran_declines() -> None:
    story = Story()
    story.journal.verdict = Refusal("cancelled", "cancelled by ada")
    end = outcome(await story.heal())
    assert (end.status, story.actions.ran) == ("declined", [])
    assert "before anything ran" in end.reason


async def test_a_cancel_after_an_action_says_what_had_run() -> None:
    story = Story()
    story.actions.on_run = lambda name: setattr(
        story.directives, "said", Stop(rule="cancelled", reason="cancelled by ada", by="ada")
    )
    end = outcome(await story.heal())
    assert end.status == "declined"
    assert "after restart had run" in end.reason


async def test_a_precondition_that_no_longer_holds_leads_to_a_new_thought_not_to_an_attempt() -> None:
    story = Story(policies=(policy(max_retries=1),))
    story.actions.preconditions = {"restart": "web is running already"}
    end = outcome(await story.heal())
    assert story.actions.ran == []
    assert (end.status, end.rule, end.attempts) == ("escalated", "no_progress", 0)


async def test_an_action_that_waits_frees_the_worker_between_looks() -> None:
    story = Story()
    later = story.clock.now() + timedelta(seconds=60)
    story.actions.answers = {"restart": [ActionOutput("succeeded", "done")]}
    story.actions.undos = {}
    story.policies = ()
    asked = await story.heal()
    steps = [{"action": "look", "params": {}}, {"action": "restart", "params": {"unit": "web"}}]
    story.actions.answers["look"] = [ActionOutput("pending", "not yet", later), ActionOutput("succeeded", "there")]
    edited = {"name": "run_plan", "args": {"steps": steps}}
    end = await story.leg(decision=answer("edit", asked, edited_action=edited))
    assert isinstance(end, Resting) and end.until == later
    assert outcome(await story.heal()).status == "mitigated"
    assert story.actions.ran == ["look", "look", "restart"]


async def test_a_dry_run_says_what_it_would_have_done() -> None:
    story = Story()
    story.settings = story.settings.__class__(dry_run=True)
    end = outcome(await story.heal())
    assert (end.status, end.rule, story.actions.ran) == ("declined", "dry_run", [])
    assert "restart(unit=web)" in end.reason


async def test_what_nothing_explains_is_looked_at_again_before_it_is_escalated() -> None:
    story = Story(facts={"load": 1.0})
    end = await story.leg()
    assert isinstance(end, Resting) and "looking again" in end.reason
    story.sources[0] = FakeSource("units", crashed_web())
    assert outcome(await story.heal()).status == "mitigated"


async def test_what_stays_unexplained_is_escalated() -> None:
    story = Story(facts={"load": 1.0})
    end = outcome(await story.heal())
    assert (end.status, end.rule, story.actions.ran) == ("escalated", "cause_unknown", [])


async def test_a_log_that_did_not_answer_is_asked_again_before_a_crash_is_taken_for_one() -> None:
    story = Story()
    journal = FakeSource("journal", error=TimeoutError("no answer"))
    story.sources.append(journal)
    end = await story.leg()
    assert isinstance(end, Resting) and "journal did not answer" in end.reason
    assert story.actions.ran == []
    journal.error, journal.facts = None, {fact_key("journal.config_error", unit="web"): "line 3: port"}
    end = outcome(await story.heal())
    assert (end.status, story.actions.ran) == ("escalated", [])


async def test_a_log_that_never_answers_is_told_and_does_not_keep_a_repair_away() -> None:
    story = Story()
    story.sources.append(FakeSource("journal", error=PermissionError("not for us")))
    end = outcome(await story.heal())
    assert (end.status, story.actions.ran) == ("mitigated", ["restart"])
    said = [entry.sentence for entry in story.chronicle.entries.values() if entry.node == "diagnose"]
    assert any("not told from others by journal, which did not answer" in sentence for sentence in said)


async def test_what_seemed_no_fault_and_does_not_hold_is_looked_at_again() -> None:
    story = Story(facts={fact_key("unit.state", unit="web"): "running"}, rounds=((FAIL,), (PASS,)))
    story.sources[0] = FakeSource("units", story.facts, before=None)
    first = story.sources[0]
    flips = iter((story.facts, crashed_web()))

    async def flip() -> None:
        first.facts = next(flips)

    first.before = flip
    end = outcome(await story.heal())
    assert (end.status, story.actions.ran) == ("mitigated", ["restart"])


async def test_a_policy_may_rehearse_too_and_asks_nobody() -> None:
    for auto_heal, would in ((True, "would run"), (False, "would ask")):
        story = Story(policies=(policy(auto_heal=auto_heal, dry_run=True),))
        end = outcome(await story.heal())
        assert (end.status, end.rule, story.actions.ran) == ("declined", "dry_run", [])
        assert would in end.reason and "restart(unit=web)" in end.reason


async def test_a_repair_that_made_things_worse_is_undone_and_escalated_and_no_other_is_tried() -> None:
    worse = Observation(criterion="service batch", status="fail", observed="batch is failed")
    well = {fact_key("health.ok", check="service batch"): True}
    story = Story(facts=crashed_web() | well, rounds=((PASS, worse),))
    story.actions.undos = {"restart": PlanStep(action="replace", params={}, rendered="replace()", risk="low")}
    end = outcome(await story.heal())
    assert (end.status, end.rule) == ("escalated", "made_worse")
    assert story.actions.ran == ["restart", "replace"]
    assert "service batch" in end.reason and "undone by replace" in end.reason


async def test_a_repair_that_made_things_worse_and_that_nothing_undoes_is_escalated_at_once() -> None:
    worse = Observation(criterion="service batch", status="fail", observed="batch is failed")
    story = Story(facts=crashed_web() | {fact_key("health.ok", check="service batch"): True}, rounds=((PASS, worse),))
    end = outcome(await story.heal())
    assert (end.status, end.rule, story.actions.ran) == ("escalated", "made_worse", ["restart"])


async def test_a_diagnosis_says_where_the_evidence_contradicts_the_alert() -> None:
    story = Story(policies=(policy(),))
    story.incident = story.incident.model_copy(update={"issue_types": ("disk_full",)})
    story.policies = (policy(), policy().model_copy(update={"issue_type": "disk_full"}))
    await story.heal()
    told = next(entry.sentence for entry in story.chronicle.entries.values() if entry.node == "diagnose")
    assert "alerted as disk_full, but the evidence says service_down" in told


async def test_a_state_that_cannot_be_read_escalates_and_is_never_taken_for_finished() -> None:
    story = Story(policies=())
    asked = await story.heal()
    agent = story.agent()
    config = {"configurable": {"thread_id": INCIDENT_ID, "holder": HOLDER}}
    snapshot = await agent._graph.aget_state(config)
    checkpoint = await story.saver.aget_tuple(snapshot.config)
    assert checkpoint is not None
    broken = {**checkpoint.checkpoint}
    broken["channel_values"] = {**broken["channel_values"], "diagnosis": {"summary": 7}}
    versions = {"diagnosis": "99.0"}
    broken["channel_versions"] = {**broken["channel_versions"], **versions}
    await story.saver.aput(checkpoint.config, broken, checkpoint.metadata, versions)  # type: ignore[arg-type]
    end = outcome(await story.heal(decision=answer("approve", asked)))
    assert (end.status, end.rule, story.actions.ran) == ("escalated", "unreadable_state", [])


async def test_a_thread_of_another_graph_version_starts_afresh_and_asks_again() -> None:
    story = Story(policies=())
    asked = await story.heal()
    config = {"configurable": {"thread_id": INCIDENT_ID, "holder": HOLDER}}
    await story.agent()._graph.aupdate_state(config, {"graph_version": "0"})
    end = await story.heal(decision=answer("approve", asked))
    assert isinstance(end, WaitingForApproval)
    assert story.actions.ran == []


async def test_the_checkpointed_state_is_readable_json_under_six_kib() -> None:
    story = Story()
    await story.heal()
    text = json.dumps(await story.state())
    assert len(text) < 6 * 1024
    assert '"suspected_cause": "crashed"' in text


def test_the_kind_of_the_stories_declares_only_what_it_uses() -> None:
    assert {remedy.name for cause in KIND.causes for remedy in cause.remedies} <= set(KIND.actions)
