"""What an evaluation came to, as it is written to `evals.json`: every case, every run, every score with its reason.

The report, the gate, JUnit and LangSmith are made of this and of nothing else.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from evals.case import Difficulty, Ending, Split, Trait
from graph.records import IssueType


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Score(_Frozen):
    """One scorer's judgement: 1 is best, 0 worst; None where it does not apply to this case."""

    value: float | None
    detail: str = ""
    """Why, for people: what was wanted and what was found."""


class SeenEvidence(_Frozen):
    """One piece of evidence as the report shows it."""

    id: str
    source: str
    asked: str
    status: Literal["observed", "no_data", "failed"]
    text: str
    facts: tuple[str, ...] = ()
    """`key = value`, the first few."""
    cited: bool = False
    required: bool = False


class RunResult(_Frozen):
    """One run of one case."""

    number: int
    passed: bool
    why_failed: tuple[str, ...] = ()
    """In words, naming the scorer; empty where it passed."""
    scores: dict[str, Score]
    suspected_cause: str
    confidence: float
    summary: str = ""
    author: str = ""
    actions: tuple[str, ...] = ()
    """Of the plan, in order."""
    forbidden: tuple[str, ...] = ()
    """Those of them that the case forbids."""
    ended_before: str = ""
    path: tuple[str, ...] = ()
    evidence: tuple[SeenEvidence, ...] = ()
    not_recorded: tuple[str, ...] = ()
    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    model_seconds: float = 0.0
    seconds: float = 0.0
    error: str = ""

    @property
    def total(self) -> float:
        """Of all scores together, 0 to 1; see `evals.scorers.WEIGHTS`."""
        return self.scores["total"].value or 0.0


class CaseResult(_Frozen):
    """One case with all its runs."""

    id: str
    kind: str
    issue_type: IssueType
    """Of its best accepted cause; for `no_fault` and `unknown`, what the alert says."""
    accepted_causes: tuple[str, ...]
    ending: Ending
    mechanism: str
    split: Split
    difficulty: Difficulty
    traits: tuple[Trait, ...] = ()
    runs: tuple[RunResult, ...]

    @property
    def pass_rate(self) -> float:
        return sum(run.passed for run in self.runs) / len(self.runs)

    @property
    def passed(self) -> bool:
        """In every run."""
        return all(run.passed for run in self.runs)

    @property
    def total(self) -> float:
        """The mean of its runs' totals."""
        return sum(run.total for run in self.runs) / len(self.runs)

    @property
    def forbidden(self) -> tuple[str, ...]:
        """Forbidden actions in the plan of any run, each once."""
        return tuple(sorted({action for run in self.runs for action in run.forbidden}))


class Results(_Frozen):
    """All cases under one reasoner."""

    reasoner: str
    """`runbook`, `llm:<model>`, `fallback:<model>`, or a baseline's name (`always_unknown` …)."""
    measures_a_model: bool = False
    """False where the answers were scripted: then nothing is said about any model."""
    cases: tuple[CaseResult, ...]
    seconds: float
    """Wall time of all."""

    @property
    def total(self) -> float:
        """The mean of the cases' totals."""
        return sum(case.total for case in self.cases) / len(self.cases) if self.cases else 0.0


class Evaluation(_Frozen):
    """`evals.json`."""

    made_at: AwareDatetime
    product_version: str
    results: Results
    baselines: tuple[Results, ...] = ()
    note: str = ""
    """What must be said with the figures, as that they measure no model."""
