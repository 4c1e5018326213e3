"""Pass rates with how sure one may be of them: a dozen cases prove little, and a report should say so itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evals.results import CaseResult
from evals.summary import wilson


@dataclass(frozen=True)
class Rate:
    """How many of how many cases passed. `passed` is no whole number where a case passed in some of its runs."""

    passed: float
    cases: int

    @property
    def share(self) -> float | None:
        """None where there is no case."""
        return self.passed / self.cases if self.cases else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true rate is, at 95 %. It counts cases, not runs: runs of one case are no news of others."""
        return wilson(self.share or 0.0, self.cases)

    def __str__(self) -> str:
        """`18/20 · 90 % (70 to 97)`; "no case" where there is none."""
        if self.share is None:
            return "no case"
        low, high = self.interval
        return f"{_plain(self.passed)}/{self.cases} · {self.share * 100:.0f} % ({low * 100:.0f} to {high * 100:.0f})"


def rate_of(cases: Sequence[CaseResult]) -> Rate:
    return Rate(sum(case.pass_rate for case in cases), len(cases))


def of_split(cases: Sequence[CaseResult], split: str) -> tuple[CaseResult, ...]:
    return tuple(case for case in cases if case.split == split)


def _plain(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 0.05 else f"{value:.1f}"
