"""What every scorer is given: a case, what was made of it, and what the kind and the catalogue declare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evals.case import Case
from evals.target import CaseRun
from graph.kind import NO_FAULT, UNKNOWN_CAUSE, ResourceKind
from graph.records import PlanStep, Risk


@dataclass(frozen=True)
class Judged:
    """One run to be judged. `risks` are those of the catalogue's specs, by action."""

    case: Case
    run: CaseRun
    kind: ResourceKind
    risks: Mapping[str, Risk]

    @property
    def cause(self) -> str:
        """What was suspected; `unknown` where nothing was said."""
        return self.run.diagnosis.suspected_cause if self.run.diagnosis else UNKNOWN_CAUSE

    @property
    def correct(self) -> bool:
        return self.run.diagnosis is not None and self.cause in self.case.expected.accepted_causes

    @property
    def cited(self) -> tuple[str, ...]:
        """Ids of the evidence the diagnosis rests on, each once."""
        return tuple(dict.fromkeys(self.run.diagnosis.evidence_ids)) if self.run.diagnosis else ()

    @property
    def steps(self) -> tuple[PlanStep, ...]:
        return self.run.plan.steps if self.run.plan else ()

    @property
    def writes(self) -> tuple[PlanStep, ...]:
        """Steps that change something."""
        return tuple(step for step in self.steps if self.changes(step.action))

    def changes(self, action: str) -> bool:
        """Whether it is more than reading. What nobody catalogued may do anything."""
        return self.risks.get(action) != "read_only"

    def family(self, cause: str) -> str:
        """The issue type of a declared cause; `no_fault` and `unknown` are families of their own."""
        if cause in (NO_FAULT, UNKNOWN_CAUSE):
            return cause
        declared = self.kind.cause(cause)
        return declared.issue_type if declared else f"undeclared:{cause}"
