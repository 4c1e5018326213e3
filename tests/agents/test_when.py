"""`when: unknown_only`: a model is asked where the declared signatures don't settle it, and only there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from agents.reasoning.runbook import RunbookReasoner
from agents.reasoning.when import UnknownOnly, settled
from graph.facts import FactValue
from graph.ports import DiagnosisRequest, PlanRequest
from graph.records import Attempt, Diagnosis, Plan
from tests.agents.reasoning_examples import attempt, diagnosis, diagnosis_request, incident, plan_request, seen


class Model:
    """Counts what it is asked."""

    name = "llm:tiny"

    def __init__(self) -> None:
        self.asked = 0

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        self.asked += 1
        return diagnosis().model_copy(update={"author": self.name})

    async def plan(self, request: PlanRequest) -> Plan:
        self.asked += 1
        return Plan(steps=(), summary="mine", author=self.name)


CASES: list[tuple[dict[str, FactValue], Sequence[Attempt], bool]] = [
    ({'s.crashed{unit="web"}': True}, (), True),
    ({"s.healthy": True}, (), True),
    ({"s.faint": True}, (), False),
    ({"load": 1}, (), False),
    ({"s.crashed": True, "s.killed": True}, (), False),
    ({'s.crashed{unit="web"}': True}, (attempt(1, "crashed", "restart_service"),), False),
    ({'s.crashed{unit="web"}': True}, (attempt(1, "killed", "restart_service"),), True),
]


@pytest.mark.parametrize(("facts", "attempts", "clear"), CASES)
async def test_only_what_is_clear_needs_no_call(
    facts: dict[str, FactValue], attempts: Sequence[Attempt], clear: bool
) -> None:
    model = Model()
    request = diagnosis_request([seen("E1", facts)], attempts=attempts)
    found = await UnknownOnly(model, RunbookReasoner()).diagnose(request)
    assert settled(request) is clear
    assert model.asked == (0 if clear else 1)
    assert isinstance(found, Diagnosis) and found.author == ("runbook" if clear else "llm:tiny")


async def test_who_diagnosed_also_plans() -> None:
    model = Model()
    reasoner = UnknownOnly(model, RunbookReasoner())
    asked = plan_request()
    mine = replace(asked, diagnosis=asked.diagnosis.model_copy(update={"author": "runbook"}))
    assert (await reasoner.plan(mine)).author == "runbook"
    theirs = replace(asked, diagnosis=asked.diagnosis.model_copy(update={"author": "llm:tiny"}))
    assert (await reasoner.plan(theirs)).author == "llm:tiny"
    assert model.asked == 1


async def test_an_unknown_resource_costs_nothing() -> None:
    model = Model()
    await UnknownOnly(model, RunbookReasoner()).diagnose(diagnosis_request(about=incident(placed=False)))
    assert model.asked == 0
