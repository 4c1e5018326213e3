"""What a model may cost, what is on record of it, and what happens when it is spent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.reasoning.account import Price
from agents.reasoning.budget import Budget, BudgetLimits
from agents.reasoning.failures import BudgetExceeded, ReasonerFailed
from agents.reasoning.fallback import FallbackReasoner
from agents.reasoning.ledger import MemoryLedger, ModelCall, Spent, Usage, estimated, sum_of
from agents.reasoning.llm import LlmReasoner, LlmSettings
from agents.reasoning.runbook import RunbookReasoner
from evals.openai_server import answer, error, hang, serving, text
from tests.agents.reasoning_examples import CRASH, diagnosis_request, plan_request, seen
from tests.agents.test_llm import GOOD, GOOD_PLAN

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def call(incident_id: str = "a", at: datetime = NOON, tokens: int = 10, **more: Any) -> ModelCall:
    given: dict[str, Any] = {
        "incident_id": incident_id,
        "at": at,
        "purpose": "diagnose",
        "attempt": 1,
        "model": "tiny",
        "prompt": "diagnose@2",
        "method": "json_schema",
        "messages": (("system", "s"), ("human", "h")),
        "answer": "{}",
        "status": "answered",
        "usage": Usage(tokens, 0),
    }
    return ModelCall(**given | more)


@dataclass
class Day:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


async def test_one_incident_that_spends_its_calls_leaves_the_others_theirs() -> None:
    budget = Budget(BudgetLimits(incident_calls=2), now=Day())
    for _ in range(2):
        await budget.check("a")
        await budget.ledger.called(call("a"))
    with pytest.raises(BudgetExceeded, match="budget of 2 calls per incident is spent"):
        await budget.check("a")
    await budget.check("b")


async def test_tokens_count_too() -> None:
    budget = Budget(BudgetLimits(incident_tokens=1_000), now=Day())
    await budget.ledger.called(call(tokens=1_100))
    with pytest.raises(BudgetExceeded, match="budget of 1000 tokens per incident is spent"):
        await budget.check("a")


async def test_the_days_budget_is_everybodys_and_new_at_midnight_utc() -> None:
    day = Day()
    budget = Budget(BudgetLimits(day_calls=2), now=day)
    await budget.ledger.called(call("a"))
    await budget.ledger.called(call("b"))
    with pytest.raises(BudgetExceeded, match="budget of 2 calls per day is spent"):
        await budget.check("c")
    day.now += timedelta(hours=12)
    await budget.check("c")


async def test_calls_that_are_under_way_count_as_well() -> None:
    budget = Budget(BudgetLimits(day_calls=2), now=Day())
    with budget.call("a"), budget.call("b"), pytest.raises(BudgetExceeded):
        await budget.check("c")
    await budget.check("c")


class Unreadable(MemoryLedger):
    async def spent(self, incident_id: str) -> Spent:
        raise OSError("disk gone")

    async def called(self, call: ModelCall) -> None:
        raise OSError("disk gone")


class Unwritable(MemoryLedger):
    async def called(self, call: ModelCall) -> None:
        raise OSError("disk full")


async def test_a_budget_that_can_not_be_read_is_not_spent() -> None:
    with pytest.raises(ReasonerFailed, match="the budget can't be read"):
        await Budget(ledger=Unreadable()).check("a")


def test_tokens_that_nobody_told_are_estimated_from_the_text() -> None:
    assert estimated("x" * 400, "y" * 40) == Usage(100, 10, reported=False)


def test_a_sum_has_a_cost_only_where_all_calls_have_a_price() -> None:
    assert sum_of([call(cost_usd=0.5), call(cost_usd=0.25)]).cost_usd == 0.75
    assert sum_of([call(cost_usd=0.5), call()]).cost_usd is None


def reasoner(base_url: str, ledger: MemoryLedger, limits: BudgetLimits | None = None, **more: Any) -> LlmReasoner:
    settings = LlmSettings(model="tiny", base_url=base_url, max_retries=0, **more)
    return LlmReasoner(settings, Budget(limits, ledger))


async def test_a_spent_budget_is_the_runbooks_turn_and_nothing_is_asked() -> None:
    with serving(answer(GOOD)) as server:
        llm = reasoner(server.base_url, MemoryLedger(), BudgetLimits(day_calls=1))
        both = FallbackReasoner(llm, RunbookReasoner())
        first = await both.diagnose(diagnosis_request())
        second = await both.diagnose(diagnosis_request())
    assert first.author == "llm:tiny"  # type: ignore[union-attr]
    told = "runbook (fell back from llm:tiny: budget of 1 calls per day is spent (1))"
    assert second.author == told  # type: ignore[union-attr]
    assert len(server.requests) == 1


async def test_another_process_on_the_same_ledger_has_the_same_budget() -> None:
    ledger = MemoryLedger()
    with serving(answer(GOOD)) as server:
        await reasoner(server.base_url, ledger, BudgetLimits(incident_calls=1)).diagnose(diagnosis_request())
        with pytest.raises(BudgetExceeded):
            await reasoner(server.base_url, ledger, BudgetLimits(incident_calls=1)).diagnose(diagnosis_request())


async def test_each_call_is_on_record_with_what_was_sent_what_it_cost_and_by_which_prompt() -> None:
    ledger = MemoryLedger()
    price = Price(input_per_million_tokens=2, output_per_million_tokens=8)
    with serving(answer(GOOD), answer(GOOD_PLAN)) as server:
        llm = reasoner(server.base_url, ledger, price=price)
        await llm.diagnose(diagnosis_request())
        await llm.plan(plan_request())
    first, second = ledger.calls
    assert [(kept.purpose, kept.status, kept.attempt) for kept in ledger.calls] == [
        *(("diagnose", "answered", 1), ("plan", "answered", 1)),
    ]
    assert first.prompt.startswith("diagnose@") and second.prompt.startswith("plan@")
    *sent, (role, schema) = first.messages
    assert [text for _, text in sent] == [item["content"] for item in server.requests[0]["messages"]]
    assert role == "schema" and "suspected_cause" in schema
    assert '"suspected_cause": "crashed"' in first.answer
    assert first.usage.reported and first.cost_usd == price.of(first.usage) > 0


async def test_failed_and_invalid_calls_are_on_record_too() -> None:
    ledger = MemoryLedger()
    with serving(text("no idea"), answer(GOOD | {"confidence": 9}), error(500, "boom")) as server:
        llm = reasoner(server.base_url, ledger)
        with pytest.raises(ReasonerFailed):
            await llm.diagnose(diagnosis_request())
    assert [kept.status for kept in ledger.calls] == ["invalid", "invalid", "failed"]
    assert "confidence" in ledger.calls[1].problem and "HTTP 500: boom" in ledger.calls[2].problem


async def test_a_call_that_is_cancelled_is_on_record() -> None:
    ledger = MemoryLedger()
    with serving(hang()) as server:
        asking = asyncio.create_task(reasoner(server.base_url, ledger).diagnose(diagnosis_request()))
        while not server.requests:  # noqa: ASYNC110 -- the server lives in a thread
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    [kept] = ledger.calls
    assert (kept.status, kept.problem) == ("failed", "cancelled before it was answered")
    assert kept.usage.input_tokens > 100 and not kept.usage.reported, "the server may have worked on it"


async def test_an_answer_counts_though_it_could_not_be_put_on_record() -> None:
    with serving(answer(GOOD)) as server:
        llm = reasoner(server.base_url, Unwritable(), BudgetLimits(incident_calls=1))
        found = await llm.diagnose(diagnosis_request())
        with pytest.raises(BudgetExceeded):
            await llm.diagnose(diagnosis_request())
    assert found.author == "llm:tiny"  # type: ignore[union-attr]


async def test_no_secret_gets_on_record() -> None:
    ledger = MemoryLedger()
    evidence = (*CRASH, seen("E3", {"note": "password=hunter2"}, "journal", "Authorization: Bearer abc123def456ghi"))
    leaking = answer(GOOD | {"summary": "the password=hunter2 is wrong"})
    with serving(leaking) as server:
        await reasoner(server.base_url, ledger).diagnose(replace(diagnosis_request(), evidence=evidence))
    [kept] = ledger.calls
    assert "hunter2" not in f"{kept.messages}{kept.answer}" and "abc123def456ghi" not in str(kept.messages)


@pytest.mark.parametrize("usage", [True, False])
async def test_what_was_spent_is_counted_also_where_the_server_does_not_tell(usage: bool) -> None:
    ledger = MemoryLedger()
    request = diagnosis_request()
    with serving(answer(GOOD, usage=usage)) as server:
        await reasoner(server.base_url, ledger).diagnose(request)
    spent = await ledger.spent(request.incident.id)
    assert (spent.calls, spent.estimated_calls) == (1, 0 if usage else 1)
    assert spent.tokens == 1_000 if usage else spent.tokens > 500
