"""Whether a change made it worse: every case against the baseline that was accepted last.

Of the runbook only, which answers the same each time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from evals.results import CaseResult, Results, Score
from evals.scorers import WEIGHTS

BASELINE_NAME = "baseline.json"
DIGITS = 4

What = Literal["forbidden", "fails", "lower", "total", "not in the baseline", "not in the store", "reasoner"]


class InvalidBaseline(Exception):
    """The baseline can't be read, or is not there; the message says what to do."""


class BaselineCase(BaseModel):
    """What a case came to when the baseline was accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: bool
    score: float
    forbidden: tuple[str, ...] = ()


class Baseline(BaseModel):
    """`baseline.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reasoner: str
    total: float
    """The mean of the cases' scores."""
    cases: dict[str, BaselineCase]


@dataclass(frozen=True)
class Change:
    """One way in which results differ from the baseline. `why` is for people."""

    case: str
    """Empty: it is about all of them."""
    what: What
    why: str

    def __str__(self) -> str:
        return f"{self.case or 'all'}: {self.what}: {self.why}"


def baseline_path(root: Path) -> Path:
    """Of the cases under `root`."""
    return root.parent / BASELINE_NAME


def read_baseline(path: Path) -> Baseline:
    """Raises InvalidBaseline."""
    try:
        return Baseline.model_validate(json.loads(path.read_text()))
    except FileNotFoundError:
        raise InvalidBaseline(f"{path}: there is no baseline: `selfheal evals baseline --accept` writes it") from None
    except (OSError, json.JSONDecodeError, ValidationError) as error:
        raise InvalidBaseline(f"{path}: is no baseline: {error}") from error


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Sorted, so that a diff shows what changed and nothing else."""
    path.write_text(json.dumps(baseline.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")


def baseline_of(results: Results) -> Baseline:
    """What the next results are to be held to."""
    cases = {case.id: _case(case) for case in results.cases}
    return Baseline(reasoner=results.reasoner, total=round(results.total, DIGITS), cases=dict(sorted(cases.items())))


def worse(baseline: Baseline, results: Results) -> tuple[Change, ...]:
    """Everything by which the gate fails, the gravest of a case only; nothing where it passes."""
    if results.reasoner != baseline.reasoner:
        return (Change("", "reasoner", f"the baseline is of {baseline.reasoner}, these are of {results.reasoner}"),)
    found = [change for case in results.cases if (change := _worse(baseline.cases.get(case.id), case))]
    there = {case.id for case in results.cases}
    found += [
        Change(name, "not in the store", "the baseline knows it: where it went on purpose, accept a new baseline")
        for name in baseline.cases
        if name not in there
    ]
    total = round(results.total, DIGITS)
    if total < baseline.total:
        found.append(Change("", "total", f"{total:.4f}, was {baseline.total:.4f}"))
    return tuple(sorted(found, key=lambda change: (change.case == "", change.case)))


def better(baseline: Baseline, results: Results) -> tuple[str, ...]:
    """What a new baseline would raise, a line a case."""
    pairs = ((case.id, baseline.cases.get(case.id), _case(case)) for case in results.cases)
    return tuple(
        f"{name}: {_told(was)} → {_told(now)}"
        for name, was, now in pairs
        if was is not None and (now.passed, now.score) > (was.passed, was.score) and now.score >= was.score
    )


def differences(old: Baseline | None, new: Baseline) -> tuple[str, ...]:
    """What accepting `new` changes, a line a case, and the total last."""
    before = old.cases if old else {}
    lines = [
        f"{name}: {_told(before.get(name))} → {_told(new.cases.get(name))}"
        for name in sorted({*before, *new.cases})
        if before.get(name) != new.cases.get(name)
    ]
    if lines or old is None or old.total != new.total:
        lines.append(f"total: {f'{old.total:.4f}' if old else 'none'} → {new.total:.4f}")
    return tuple(lines)


def _case(case: CaseResult) -> BaselineCase:
    return BaselineCase(passed=case.passed, score=round(case.total, DIGITS), forbidden=case.forbidden)


def _worse(was: BaselineCase | None, case: CaseResult) -> Change | None:
    now = _case(case)
    why = "; ".join(dict.fromkeys(reason for run in case.runs for reason in run.why_failed))
    if now.forbidden:
        return Change(case.id, "forbidden", why)
    if was is None:
        return Change(case.id, "not in the baseline", f"{_told(now)}; accept it with a new baseline")
    if was.passed and not now.passed:
        return Change(case.id, "fails", f"passed before; {why}")
    if now.score < was.score:
        return Change(case.id, "lower", f"score {now.score:.4f}, was {was.score:.4f}; {_weakest(case)}")
    return None


def _weakest(case: CaseResult) -> str:
    """What its worst run is marked down for."""
    run = min(case.runs, key=lambda each: each.total)
    short = [f"{name}: {score.detail}" for name, score in run.scores.items() if name in WEIGHTS and _short(score)]
    return "; ".join(short)


def _short(score: Score) -> bool:
    return score.value is not None and score.value < 1


def _told(case: BaselineCase | None) -> str:
    if case is None:
        return "none"
    forbidden = f", forbidden: {', '.join(case.forbidden)}" if case.forbidden else ""
    return f"{'passed' if case.passed else 'failed'} {case.score:.4f}{forbidden}"
