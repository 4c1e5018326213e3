"""What a model may cost, and what happens when it is spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from agents.reasoning.budget import Budget, BudgetLimits, Usage, usage_of
from agents.reasoning.failures import BudgetExceeded
from agents.reasoning.fallback import FallbackReasoner
from agents.reasoning.llm import LlmReasoner, LlmSettings
from agents.reasoning.runbook import RunbookReasoner
from tests.agents.openai_server import answer, serving
from tests.agents.reasoning_examples import diagnosis_request
from tests.agents.test_llm import GOOD


@dataclass
class Day:
    now: datetime = datetime(2026, 1, 1, 23, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_one_incident_that_spends_its_calls_leaves_the_others_theirs() -> None:
    budget = Budget(BudgetLimits(incident_calls=2))
    budget.reserve("a")
    budget.reserve("a")
    with pytest.raises(BudgetExceeded, match="budget of 2 calls per incident is spent"):
        budget.reserve("a")
    budget.reserve("b")
    assert budget.spent("a").calls == 2


def test_tokens_count_too() -> None:
    budget = Budget(BudgetLimits(incident_tokens=1_000))
    budget.reserve("a")
    budget.record("a", usage_of((900, 200), "", ""))
    with pytest.raises(BudgetExceeded, match="budget of 1000 tokens per incident is spent"):
        budget.reserve("a")


def test_the_days_budget_is_everybodys_and_new_at_midnight_utc() -> None:
    day = Day()
    budget = Budget(BudgetLimits(day_calls=2), now=day)
    budget.reserve("a")
    budget.reserve("b")
    with pytest.raises(BudgetExceeded, match="budget of 2 calls per day is spent"):
        budget.reserve("c")
    day.now += timedelta(hours=1)
    budget.reserve("c")
    assert budget.spent_today() == Usage(calls=1)


def test_tokens_that_nobody_told_are_estimated_from_the_text() -> None:
    assert usage_of(None, "x" * 400, "y" * 40) == Usage(1, 100, 10, unreported_calls=1)


async def test_a_spent_budget_is_the_runbooks_turn_and_nothing_is_asked() -> None:
    with serving(answer(GOOD)) as server:
        settings = LlmSettings(model="tiny", base_url=server.base_url)
        llm = LlmReasoner(settings, Budget(BudgetLimits(day_calls=1)))
        reasoner = FallbackReasoner(llm, RunbookReasoner())
        first = await reasoner.diagnose(diagnosis_request())
        second = await reasoner.diagnose(diagnosis_request())
    assert first.author == "llm:tiny"
    assert second.author == "runbook (fell back from llm:tiny: budget of 1 calls per day is spent (1))"
    assert len(server.requests) == 1
