"""Each case beside the baseline: what was broken, what was mended, what came, what went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evals.gate import Baseline, BaselineCase
from evals.report.tables import Cell, Table, Tone
from evals.results import CaseResult

Change = Literal["regressed", "worse", "mended", "better", "new", "gone"]
SAID: Mapping[Change, tuple[str, Tone]] = {
    "regressed": ("regressed", "bad"),
    "worse": ("scores lower", "ask"),
    "mended": ("mended", "good"),
    "better": ("scores higher", "good"),
    "new": ("new", ""),
    "gone": ("gone", "ask"),
}
OF_ANOTHER = (
    "The baseline is of another reasoner than these results: what differs is not one change, but two reasoners."
)
SAME = 0.005
"""Scores closer than this are the same."""


@dataclass(frozen=True)
class Difference:
    case_id: str
    change: Change
    was: str
    now: str
    why: str = ""


def differences(cases: Sequence[CaseResult], baseline: Baseline) -> tuple[Difference, ...]:
    """The worst first."""
    found = [_difference(case, baseline.cases.get(case.id)) for case in cases]
    here = {case.id for case in cases}
    gone = [
        Difference(id, "gone", _told(was.passed, was.score), "") for id, was in baseline.cases.items() if id not in here
    ]
    order = list(SAID)
    return tuple(
        sorted((each for each in [*found, *gone] if each), key=lambda each: (order.index(each.change), each.case_id))
    )


def _difference(case: CaseResult, was: BaselineCase | None) -> Difference | None:
    ok, score = case.passed, case.total
    now = _told(ok, score)
    why = "; ".join(dict.fromkeys(reason for run in case.runs for reason in run.why_failed))
    if was is None:
        return Difference(case.id, "new", "", now, why)
    before = _told(was.passed, was.score)
    worse_plan = bool(case.forbidden) and not was.forbidden
    if (was.passed and not ok) or worse_plan:
        return Difference(case.id, "regressed", before, now, why)
    if ok and not was.passed:
        return Difference(case.id, "mended", before, now)
    if abs(score - was.score) < SAME:
        return None
    return Difference(case.id, "better" if score > was.score else "worse", before, now, why)


def diff_table(found: Sequence[Difference], baseline: Baseline | None, reasoner: str) -> Table:
    """`reasoner` is whose results these are."""
    rows = (
        (
            Cell(each.case_id, name=True, case_id="" if each.change == "gone" else each.case_id),
            Cell(*SAID[each.change]),
            Cell(each.was or "not there"),
            Cell(each.now or "not there"),
            Cell(each.why, name=True),
        )
        for each in found
    )
    return Table(
        "Against the baseline",
        ("Case", "Change", "Was", "Is", "Why"),
        tuple(rows),
        note=OF_ANOTHER if baseline and baseline.reasoner != reasoner else "",
        about=baseline.reasoner if baseline else "",
        empty=(
            "There is no baseline to compare with: `selfheal evals baseline --accept` writes one."
            if baseline is None
            else "Every case does what it did in the baseline."
        ),
    )


def _told(ok: bool, score: float) -> str:
    return f"{'passed' if ok else 'failed'}, {score:.2f}"


def counts(found: Iterable[Difference]) -> dict[Change, int]:
    told = [each.change for each in found]
    return {change: told.count(change) for change in SAID if change in told}
