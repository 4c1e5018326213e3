"""`python -m evals.chaos`: the crash matrix on both databases. Exit status 1 where something was lost or doubled."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evals.chaos.cases import Result
from evals.chaos.ground import Database, LabError, ground
from evals.chaos.matrix import run, write
from evals.postgres_server import NoPostgres, running_postgres

TAKEOVER_SECONDS = 10.0
COLOURS = {"once": "green", "escalated_unknown": "yellow"}


def chaos(
    database: Annotated[list[str] | None, typer.Option(help="sqlite or postgresql; both unless said.")] = None,
    only: Annotated[str, typer.Option(help="Only the cases whose name contains this.")] = "",
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = Path("chaos.json"),
) -> None:
    """Kill the server or worker at every step of a heal, and ask the target what was done to it."""
    console = Console()
    databases: list[Database] = ["postgresql" if name == "postgresql" else "sqlite" for name in database or ()]
    databases = databases or ["sqlite", "postgresql"]

    def told(result: Result) -> None:
        colour = COLOURS.get(result.verdict, "red")
        taken = "" if result.takeover_seconds is None else f", taken over after {result.takeover_seconds:.1f} s"
        console.print(
            f"[{colour}]{result.verdict:>17}[/]  {result.database:<10} {result.how} {result.point} "
            f"({result.effects} effect(s), {result.seconds:.0f} s{taken})"
        )
        if result.story and result.verdict != "once":
            console.print(result.story, markup=False, style="dim")

    try:
        with tempfile.TemporaryDirectory(prefix="selfheal-chaos-") as folder, ExitStack() as stack:
            postgres = stack.enter_context(running_postgres(durable=True)) if "postgresql" in databases else None
            made = stack.enter_context(ground(Path(folder), postgres))
            found = write(run(made, databases, told, only), out)
    except (LabError, NoPostgres) as error:
        console.print(f"the matrix can't be run: {error}", style="red", markup=False)
        sys.exit(2)
    late = (found["takeover_seconds_max"] or 0) > TAKEOVER_SECONDS
    console.print(
        f"{found['kills']} deaths: {found['lost']} lost, {found['doubled']} doubled, {found['escalated_unknown']} "
        f"escalated as unknown, {found['never_struck']} never came; the slowest take-over took "
        f"{found['takeover_seconds_max']} s. Written to {out}."
    )
    sys.exit(1 if found["lost"] or found["doubled"] or not found["kills"] or late else 0)


if __name__ == "__main__":
    typer.run(chaos)
