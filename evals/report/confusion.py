"""What was taken for what: one matrix a kind, as causes of one kind are never taken for those of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from evals.report.scores import runs_of
from evals.report.tables import Cell, Table, named
from evals.results import CaseResult

MOST_MISTAKES = 20
NOTHING_SAID = "(no diagnosis)"


def matrices(cases: Sequence[CaseResult]) -> tuple[Table, ...]:
    kinds = sorted({case.kind for case in cases})
    return tuple(_matrix(kind, [case for case in cases if case.kind == kind]) for kind in kinds)


def _matrix(kind: str, cases: Sequence[CaseResult]) -> Table:
    counts: Counter[tuple[str, str]] = Counter()
    accepted: set[tuple[str, str]] = set()
    for case in cases:
        best = case.accepted_causes[0]
        accepted.update((best, cause) for cause in case.accepted_causes)
        counts.update((best, run.suspected_cause or NOTHING_SAID) for run in case.runs)
    right = sorted({case.accepted_causes[0] for case in cases})
    said = {cause for _, cause in counts}
    columns = tuple([cause for cause in right if cause in said] + sorted(said - set(right)))
    rows = tuple(
        (named(best), *(_cell(counts[best, cause], (best, cause) in accepted) for cause in columns)) for best in right
    )
    return Table(
        "What was taken for what",
        ("Right ↓ · said →", *columns),
        rows,
        note=f"{sum(counts.values())} runs of {len(cases)} cases. Green: the cause is accepted.",
        about=kind,
        matrix=True,
    )


def _cell(count: int, accepted: bool) -> Cell:
    return Cell(str(count), tone="good" if accepted else "bad") if count else Cell("·", tone="dim")


def mistakes(cases: Sequence[CaseResult]) -> Table:
    """What is mistaken most often, over all kinds."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for case in cases:
        for run in case.runs:
            if run.suspected_cause not in case.accepted_causes:
                counts[case.kind, case.accepted_causes[0], run.suspected_cause or NOTHING_SAID] += 1
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    left_out = len(most) - MOST_MISTAKES
    return Table(
        "What was mistaken most often",
        ("Kind", "Right", "Said", "Runs"),
        tuple((*(named(part) for part in which), Cell(str(count), "bad")) for which, count in most[:MOST_MISTAKES]),
        note=f"{left_out} more are in the matrices." if left_out > 0 else "",
        empty=f"No cause was mistaken in {len(runs_of(cases))} runs." if cases else "There is no case.",
    )
