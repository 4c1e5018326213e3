"""`selfheal evals split`: freeze the test split once, and check that it stays what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evals.commands.common import RootOption, cases_of, default_root, errors_in_words
from evals.commits import CannotLook, offending
from evals.split import freeze, lock_of, lock_path, problems, write_lock
from server import exits
from server.commands.common import out


def split(
    root: RootOption = None,
    freezes: Annotated[bool, typer.Option("--freeze", help="Choose the test split and write its lock, once.")] = False,
    commits: Annotated[
        str | None,
        typer.Option("--commits", help="Instead check the commits of this range (`main..HEAD`, `HEAD`: all before)."),
    ] = None,
) -> None:
    """Check that no test case was changed, lost or added since the split was frozen; or that no commit touches both the
    runbook's signatures and test cases.

    Exit codes: 0 it holds, or there is no history to look at; 1 it does not; 2 no cases.
    """
    if commits is not None:
        _check_commits(commits)
        return
    console = out()
    with errors_in_words():
        cases = cases_of(root)
        path = lock_path(root or default_root())
        if freezes and not path.exists():
            write_lock(freeze(cases), path)
            console.print(f"frozen in {path}", style="bold", markup=False, soft_wrap=True)
        lock = lock_of(root or default_root())
        found = problems(lock, cases)
    for said in found:
        console.print(said, style="red", markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(exits.ERROR)
    share = f"{len(lock.cases)} of {len(cases)} cases"
    console.print(f"test split: {share}, of {len(lock.mechanisms)} mechanisms: {', '.join(lock.mechanisms) or 'none'}")


def _check_commits(wanted: str) -> None:
    console = out()
    try:
        found = offending(Path.cwd(), wanted)
    except CannotLook as why:
        console.print(f"commits not checked: {why}", style="yellow", markup=False, soft_wrap=True)
        return
    for said in found:
        console.print(said, style="red", markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(exits.ERROR)
    console.print("no commit touches both signatures and test cases", style="green")
