"""The tables of scores: by split beside the baselines, by scorer, and by what the cases are about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from evals.report.rates import of_split, rate_of
from evals.report.tables import Cell, Table, counted, mean, named, rated
from evals.results import CaseResult, Evaluation, Results, RunResult

Names = Callable[[CaseResult], Iterable[str]]
GROUPS: tuple[tuple[str, str, Names], ...] = (
    ("By kind of resource", "Kind", lambda case: (case.kind,)),
    ("By issue type", "Issue type", lambda case: (case.issue_type,)),
    ("By cause", "Best accepted cause", lambda case: case.accepted_causes[:1]),
    ("By what is right to do", "Ending", lambda case: (case.ending,)),
    ("By what makes it hard", "Trait", lambda case: case.traits or ("nothing special",)),
    ("By difficulty", "Difficulty", lambda case: (case.difficulty,)),
)


def runs_of(cases: Iterable[CaseResult]) -> tuple[RunResult, ...]:
    return tuple(run for case in cases for run in case.runs)


def by_split(evaluation: Evaluation) -> Table:
    return Table(
        "Both splits, beside the baselines",
        ("Reasoner", "Passed, train", "Passed, test", "Mean score, train", "Mean score, test", "Forbidden", "Broken"),
        tuple(_standing(results) for results in (evaluation.results, *evaluation.baselines)),
        note=(
            "Signatures may be tuned on train and never on test. In brackets: where the true rate is, at 95 % (Wilson, "
            "by cases). A baseline does one same thing whatever it sees: what it passes proves nothing of who thinks."
        ),
    )


def _standing(results: Results) -> tuple[Cell, ...]:
    train, test = (of_split(results.cases, split) for split in ("train", "test"))
    runs = runs_of(results.cases)
    return (
        named(results.reasoner),
        rated(rate_of(train)),
        rated(rate_of(test)),
        _shown(mean([case.total for case in train])),
        _shown(mean([case.total for case in test])),
        counted(sum(bool(run.forbidden) for run in runs), bad=True),
        counted(sum(bool(run.error) for run in runs), bad=True),
    )


def by_scorer(cases: Sequence[CaseResult]) -> Table:
    names = tuple(dict.fromkeys(name for run in runs_of(cases) for name in run.scores))
    return Table(
        "By scorer",
        ("Scorer", "Mean, train", "Runs", "Mean, test", "Runs"),
        tuple(_scorer_row(name, cases) for name in names),
        note="1 is best, 0 worst. Only runs count that the scorer has something to say of.",
        empty="No run was scored.",
    )


def _scorer_row(name: str, cases: Sequence[CaseResult]) -> tuple[Cell, ...]:
    cells = [named(name)]
    for split in ("train", "test"):
        scores = (run.scores.get(name) for run in runs_of(of_split(cases, split)))
        values = [score.value for score in scores if score is not None and score.value is not None]
        cells += [_shown(mean(values)), Cell(str(len(values)))]
    return tuple(cells)


def by_group(cases: Sequence[CaseResult], title: str, column: str, names: Names) -> Table:
    groups: dict[str, list[CaseResult]] = {}
    for case in cases:
        for name in names(case):
            groups.setdefault(name, []).append(case)
    rows = (
        (named(name), *(rated(rate_of(of_split(groups[name], split))) for split in ("train", "test")))
        for name in sorted(groups)
    )
    return Table(title, (column, "Passed, train", "Passed, test"), tuple(rows), empty="There is no case.")


def _shown(value: float | None) -> Cell:
    return Cell("none" if value is None else f"{value:.2f}", tone="dim" if value is None else "")
