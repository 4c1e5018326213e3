"""`selfheal evals gate` holds a change to the accepted baseline; `selfheal evals baseline --accept` accepts another."""

from __future__ import annotations

from typing import Annotated

import typer

from evals.case import Case
from evals.commands.common import RootOption, cases_of, default_root, errors_in_words, shown
from evals.gate import (
    InvalidBaseline,
    baseline_of,
    baseline_path,
    better,
    differences,
    read_baseline,
    worse,
    write_baseline,
)
from evals.reasoners import Choice
from evals.results import Results
from evals.running import evaluate, processes
from evals.split import lock_of, lock_path, problems
from evals.table import cost_line
from server import exits
from server.commands.common import err, out


def gate(root: RootOption = None) -> None:
    """Fail where the runbook does worse than the baseline: a case regressed, a forbidden action, a lower total, a case
    that the baseline or the store does not have, or a test case that was changed.

    Exit codes: 0 nothing is worse; 1 something is, or a case can't be read; 2 no cases or no baseline.
    """
    console = out()
    with errors_in_words():
        cases = cases_of(root)
        folder = root or default_root()
        baseline = read_baseline(baseline_path(folder))
        frozen = problems(lock_of(folder), cases)
        if root is None and not lock_path(folder).exists():
            frozen = (f"{lock_path(folder)} is missing: nothing is kept from tuning",)
        results = _results(cases)
    console.print(f"{cost_line(results)}; score {results.total:.4f}, baseline {baseline.total:.4f}", markup=False)
    for line in better(baseline, results):
        console.print(f"better: {line}", style="green", markup=False, soft_wrap=True)
    found = [*(f"test split: {said}" for said in frozen), *(str(change) for change in worse(baseline, results))]
    for said in found:
        console.print(said, style="red", markup=False, soft_wrap=True)
    if found:
        remedy = "mend it, or accept it where all can see: selfheal evals baseline --accept"
        console.print(f"{len(found)} against the gate: {remedy}", style="bold red", markup=False, soft_wrap=True)
        raise typer.Exit(exits.ERROR)
    console.print(f"nothing is worse in {len(results.cases)} cases", style="bold green")


def baseline(
    root: RootOption = None,
    accept: Annotated[bool, typer.Option("--accept", help="Write it. Without: only show what would change.")] = False,
) -> None:
    """Show how the runbook's results differ from the baseline, and write them as the new one with --accept.

    Exit codes: 0 shown or written; 1 a case can't be read, or a test case was changed; 2 no cases.
    """
    console = out()
    with errors_in_words():
        cases = cases_of(root)
        path = baseline_path(root or default_root())
        frozen = problems(lock_of(root or default_root()), cases)
        new = baseline_of(_results(cases))
        try:
            old = read_baseline(path)
        except InvalidBaseline:
            if path.exists():
                raise
            old = None
    for said in frozen:
        console.print(f"test split: {said}", style="red", markup=False, soft_wrap=True)
    if frozen:
        raise typer.Exit(exits.ERROR)
    changes = differences(old, new)
    for line in changes:
        console.print(line, markup=False, soft_wrap=True)
    if not changes:
        console.print("nothing changes", style="dim")
    elif accept:
        write_baseline(new, path)
        console.print(f"written to {path}; commit it with the reason", style="bold", markup=False, soft_wrap=True)
    else:
        console.print("not written: give --accept to write it", style="dim")


def _results(cases: tuple[Case, ...]) -> Results:
    """The runbook's, which are the same each time."""
    with processes(len(cases)) as pool, shown(len(cases), err()) as told:
        return evaluate(cases, Choice("runbook"), 1, told, pool)
