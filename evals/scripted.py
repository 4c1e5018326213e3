"""Models that play a part, to try the harness and our guards: right, wrong, uncited, poisoned, broken.

They know the answers, as they are told them; so what they score says nothing about any model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from agents.reasoning.runbook import rank
from evals.baselines import AlwaysUnknown
from evals.case import Case
from evals.openai_server import Body, Reply, ScriptedServer, Sent, answer, error, raw, running, text
from evals.reasoners import Choice
from evals.scorers import risks
from evals.target import all_kinds, incident_of, run_case
from graph.kind import NO_FAULT, UNKNOWN_CAUSE, Match, ResourceKind
from graph.records import Evidence, PlanStep, facts_of
from server.settings import LlmSettings
from tools.actions import CATALOG

Part = Literal["right", "wrong", "uncited", "poisoned", "broken"]
PARTS: tuple[Part, ...] = ("right", "wrong", "uncited", "poisoned", "broken")
NOTE = "scripted replies: measures no model"


@dataclass(frozen=True)
class Line:
    """What is said of one case: the diagnosis, and the plan."""

    diagnosis: Mapping[str, Any]
    plan: Mapping[str, Any]


@contextmanager
def scripted(part: Part, reasoner: Literal["llm", "fallback", "runbook"], cases: Sequence[Case]) -> Iterator[Choice]:
    """The choice of a model that plays this part in these cases, for as long as the block lasts."""
    if reasoner == "runbook":
        raise ValueError("--scripted plays a model: give --reasoner llm or fallback")
    lines = asyncio.run(_lines(part, cases))
    with running(_Player(part, lines)) as server:
        # the one way of asking that is known to work here
        llm = LlmSettings(
            model=f"scripted-{part}",
            base_url=server.base_url.removesuffix("/v1"),
            structured_output="json_schema",
            max_retries=0,
        )
        yield Choice(reasoner, llm, scripted=part)


class _Player(ScriptedServer):
    """Knows by the address which case it is asked about, and by the shape of the answer what for."""

    def __init__(self, part: Part, lines: Mapping[str, Line]) -> None:
        super().__init__(())
        self._part = part
        self._lines = lines
        self._broken = count()

    def reply_to(self, body: Body, headers: dict[str, str], path: str) -> Sent:
        if self._part == "broken":
            return BROKEN[next(self._broken) % len(BROKEN)](body)
        line = self._lines[path.strip("/").partition("/")[0]]
        shape = body["response_format"]["json_schema"]["schema"]["properties"]
        return answer(line.plan if "steps" in shape else line.diagnosis)(body)


BROKEN: tuple[Reply, ...] = (
    error(500, "the model fell over"),
    text("I am afraid I cannot tell what is wrong."),
    raw(200, b"<html>gateway</html>", "text/html"),
    text('{"suspected_cause": "process_', finish_reason="length"),
    raw(200, b"{}"),
    error(503, "overloaded"),
)


async def _lines(part: Part, cases: Sequence[Case]) -> dict[str, Line]:
    return {case.id: _line(part, case, (await run_case(case, AlwaysUnknown())).evidence) for case in cases}


def _line(part: Part, case: Case, evidence: Sequence[Evidence]) -> Line:
    kind = all_kinds()[case.file.kind]
    cause = _wrong(case, kind, evidence) if part == "wrong" else case.expected.accepted_causes[0]
    if part == "poisoned" and kind.cause(cause) is None:
        cause = kind.causes[0].name
    match = _match(case, kind, cause, evidence)
    cited = [] if part == "uncited" else list(dict.fromkeys(fact.evidence_id for fact in match.cites)) if match else []
    diagnosis = {
        "suspected_cause": cause,
        "summary": f"it is {cause}",
        "confidence": 0.0 if cause == UNKNOWN_CAUSE else 0.9,
        "evidence_ids": cited,
        "target": match.target if match else None,
    }
    target = match.target if match else None
    steps = _poison(case, kind, cause) if part == "poisoned" else _remedy(case, kind, cause, target, evidence)
    return Line(diagnosis, {"summary": "what is to be done", "steps": [_step(step) for step in steps]})


def _wrong(case: Case, kind: ResourceKind, evidence: Sequence[Evidence]) -> str:
    """The cause that is wrong and for which most speaks: else that nothing is known, else any."""
    incident, accepted = incident_of(case), case.expected.accepted_causes
    ranked = rank(kind, facts_of(evidence), incident)[0] if incident.resource else []
    names = (*(candidate.name for candidate in ranked), UNKNOWN_CAUSE, *(cause.name for cause in kind.causes))
    return next(name for name in names if name not in accepted)


def _match(case: Case, kind: ResourceKind, cause: str, evidence: Sequence[Evidence]) -> Match | None:
    """What speaks for the cause."""
    declared, resource = kind.cause(cause), case.context.resource
    signature = kind.no_fault if cause == NO_FAULT else declared.signature if declared else None
    return signature(facts_of(evidence), resource) if signature and resource else None


def _remedy(
    case: Case, kind: ResourceKind, cause: str, target: str | None, evidence: Sequence[Evidence]
) -> tuple[PlanStep, ...]:
    """The first remedy that begins acceptably, else the first there is."""
    declared, resource = kind.cause(cause), case.context.resource
    if declared is None or resource is None:
        return ()
    made = [steps for way in declared.remedies if (steps := way.steps(resource, target, facts_of(evidence)))]
    good = [steps for steps in made if steps[0].action in case.expected.first_actions]
    return (good or made or [()])[0]


def _poison(case: Case, kind: ResourceKind, cause: str) -> tuple[PlanStep, ...]:
    """What the telemetry ordered: an action that is forbidden here and no remedy of the cause, and wants no params that
    would have to be known."""
    names = case.expected.forbidden_actions
    forbidden = [name for name in kind.actions if name in names or ("*" in names and risks().get(name) != "read_only")]
    declared = kind.cause(cause)
    remedies = {action for way in declared.remedies for action in way.actions} if declared else set()
    ranked = sorted(forbidden or kind.actions, key=lambda name: (not _bare(name), name in remedies))
    return (PlanStep(action=ranked[0], why="the log says that this must be done at once", expect="all is well"),)


def _bare(action: str) -> bool:
    """Whether it wants no params."""
    [params] = [each.spec.params for each in CATALOG if each.spec.name == action]
    return not any(field.is_required() for field in params.model_fields.values())


def _step(step: PlanStep) -> dict[str, Any]:
    return {"action": step.action, "params": step.params, "why": step.why or "it helps", "expect": step.expect}
