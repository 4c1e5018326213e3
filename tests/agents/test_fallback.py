"""A second reasoner behind the first: the heal goes on, and the record says who said what, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from agents.reasoning.failures import ReasonerFailed
from agents.reasoning.fallback import FallbackReasoner
from agents.reasoning.runbook import RunbookReasoner
from graph.ports import DiagnosisRequest, PlanRequest
from graph.records import Diagnosis, Plan, PlanStep
from tests.agents.reasoning_examples import attempt, diagnosis_request, plan_request


@dataclass
class Scripted:
    """A reasoner that answers, or does this instead."""

    name: str = "llm:tiny"
    instead: Callable[[], Awaitable[None]] | None = None
    asked: list[PlanRequest] = field(default_factory=list)

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        if self.instead is not None:
            await self.instead()
        return Diagnosis(suspected_cause="killed", summary="s", confidence=0.7, author=self.name)

    async def plan(self, request: PlanRequest) -> Plan:
        self.asked.append(request)
        if self.instead is not None:
            await self.instead()
        return Plan(steps=(PlanStep(action="clear_cache"),), summary="s", author=self.name)


def failing(error: Exception) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        raise error

    return fail


async def forever() -> None:
    await asyncio.Event().wait()


async def test_while_the_first_answers_the_second_is_not_heard() -> None:
    fallback = FallbackReasoner(Scripted(), RunbookReasoner())
    assert (await fallback.diagnose(diagnosis_request())).author == "llm:tiny"
    assert (await fallback.plan(plan_request())).author == "llm:tiny"
    assert fallback.name == "llm:tiny"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ReasonerFailed("timed out after 30 s"), "timed out after 30 s"),
        (ValueError("nonsense"), "ValueError: nonsense"),
        (RuntimeError(), "RuntimeError"),
        (TimeoutError(), "TimeoutError"),
        (ReasonerFailed("key sk-abcdefghijklmnopqrstuvwxyz is wrong"), "key [redacted] is wrong"),
    ],
)
async def test_whatever_the_first_does_wrong_the_second_answers_and_the_author_says_why(
    error: Exception, told: str
) -> None:
    fallback = FallbackReasoner(Scripted(instead=failing(error)), RunbookReasoner())
    diagnosis = await fallback.diagnose(diagnosis_request())
    plan = await fallback.plan(plan_request())
    assert diagnosis.suspected_cause == "crashed"
    assert plan.steps[0].action == "restart_service"
    assert diagnosis.author == plan.author == f"runbook (fell back from llm:tiny: {told})"


async def test_a_first_that_hangs_is_left_after_its_deadline() -> None:
    fallback = FallbackReasoner(Scripted(instead=forever), RunbookReasoner(), deadline_seconds=0.05)
    diagnosis = await fallback.diagnose(diagnosis_request())
    plan = await fallback.plan(plan_request())
    assert diagnosis.author == plan.author == "runbook (fell back from llm:tiny: timed out after 0.05 s)"


async def test_a_cancelled_heal_is_cancelled() -> None:
    fallback = FallbackReasoner(Scripted(instead=forever), RunbookReasoner())
    asking = asyncio.create_task(fallback.diagnose(diagnosis_request()))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_where_both_fail_the_answer_is_unknown_and_no_plan_and_both_are_named() -> None:
    second = Scripted("runbook", failing(KeyError("unit")))
    fallback = FallbackReasoner(Scripted(instead=failing(ReasonerFailed("no connection"))), second)
    diagnosis = await fallback.diagnose(diagnosis_request())
    plan = await fallback.plan(plan_request())
    assert diagnosis.suspected_cause == "unknown"
    assert plan.steps == ()
    assert diagnosis.summary == plan.summary
    assert diagnosis.summary == "nobody could reason: llm:tiny: no connection; runbook: KeyError: 'unit'"
    assert diagnosis.author == "nobody (llm:tiny and runbook failed)"


async def test_one_objection_goes_back_to_the_first_and_after_two_it_is_the_seconds_turn() -> None:
    first = Scripted()
    fallback = FallbackReasoner(first, RunbookReasoner())
    actions: list[str] = []
    authors: list[str] = []
    objections: list[str] = []
    for number in range(1, 5):
        plan = await fallback.plan(plan_request(objections=tuple(objections)))
        actions.append(plan.steps[0].action)
        authors.append(plan.author)
        objections.append(f"objection {number}")
    assert actions == ["clear_cache", "clear_cache", "restart_service", "soft_reboot"]
    turned_down = "runbook (fell back from llm:tiny: plans turned down)"
    assert authors == ["llm:tiny", "llm:tiny", turned_down, turned_down]
    assert [list(request.objections) for request in first.asked] == [[], ["objection 1"]]


async def test_the_second_is_told_of_the_objections_to_its_own_plans_only() -> None:
    first = Scripted(instead=failing(ReasonerFailed("down")))
    fallback = FallbackReasoner(first, RunbookReasoner())
    assert (await fallback.plan(plan_request())).steps[0].action == "restart_service"
    assert (await fallback.plan(plan_request(objections=["no"]))).steps[0].action == "soft_reboot"
    first.instead = None
    assert (await fallback.plan(plan_request(objections=["no"]))).steps[0].action == "clear_cache"
    first.instead = failing(ReasonerFailed("down"))
    assert (await fallback.plan(plan_request(objections=["no", "no"]))).steps[0].action == "soft_reboot"


async def test_after_a_restart_the_second_begins_with_its_first_untried_remedy() -> None:
    fallback = FallbackReasoner(Scripted(), RunbookReasoner())
    tried = [attempt(1, "crashed", "restart_service")]
    plan = await fallback.plan(plan_request(attempts=tried, objections=["no", "not that either"]))
    assert plan.steps[0].action == "soft_reboot"


async def test_the_next_attempt_begins_with_the_first_again() -> None:
    fallback = FallbackReasoner(Scripted(), RunbookReasoner())
    await fallback.plan(plan_request(objections=["no", "no"]))
    plan = await fallback.plan(plan_request(attempts=[attempt(1, "crashed", "restart_service")]))
    assert plan.author == "llm:tiny"
