"""`selfheal evals import`: cases in other people's shapes made into ours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from agents import known_kinds
from evals.case import InvalidCase
from evals.importing.answers import read_answers
from evals.importing.importer import Imported, import_cases, shape_of
from server import exits
from server.commands.common import JsonOption, err, out, print_json

_MOST_TOLD = 20


def import_(
    shape: Annotated[str, typer.Argument(help="series, cloud, tool-cache, or auto.")],
    path: Annotated[Path, typer.Argument(help="The file, or the folder of a case or of several.")],
    out_dir: Annotated[Path, typer.Option("--out", help="The folder that gets a folder for each case.")],
    answers: Annotated[
        Path | None, typer.Option("--answers", help="YAML: a foreign name for a cause, and our cause or expectation.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Import outside cases, so that they can be run like ours."""
    try:
        kinds = known_kinds()
        done = import_cases(path, shape_of(path, shape), read_answers(answers, kinds), kinds, out_dir)
    except InvalidCase as problem:
        err().print(escape(str(problem)), style="red")
        raise typer.Exit(exits.ERROR) from None
    if as_json:
        print_json(done.summary())
    else:
        _tell(done, out_dir)
    if done.broken:
        raise typer.Exit(exits.ERROR)


def _tell(done: Imported, out_dir: Path) -> None:
    told = done.summary()
    console = out()

    def say(words: str) -> None:
        console.print(escape(words), soft_wrap=True)

    for each in told["cases"][:_MOST_TOLD]:
        say(f"{each['id']}  {each['resource']}  {each['issue_type']}  {each['facts']} facts  ({each['foreign']})")
    if len(told["cases"]) > _MOST_TOLD:
        say(f"… and {len(told['cases']) - _MOST_TOLD} more; --json lists all")
    for name, why in done.unplaced:
        say(f"not placed: {name}: {why}")
    sys.stdout.flush()
    for problem in done.broken:
        err().print(escape(f"not read: {problem}"), style="red", soft_wrap=True)
    total = told["placed"] + len(done.unplaced) + len(done.broken)
    say(f"{told['placed']} of {total} cases of shape {done.shape} written to {out_dir}")
    say(f"by kind: {_counts(told['by_kind'])}; by issue type: {_counts(told['by_issue_type'])}")
    say(
        f"{told['facts']} facts found a home; {told['series_without_home']} series did not and are kept as `imported.…`"
        + (f"; {told['series_left_out']} beyond the limit were left out" if told["series_left_out"] else "")
    )
    if told["placed"] > told["scored"]:
        say(f"{told['placed'] - told['scored']} have no known answer and are tagged `unscored`: see --answers")


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counted.items())) or "none"
