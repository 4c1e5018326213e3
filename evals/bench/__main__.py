"""`python -m evals.bench run`: measure each figure, set its goal beside it, and say whether it is reached."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from evals.bench.bench import Bench
from evals.bench.figures import Measured, as_json, table, unmeasured
from evals.bench.groups import GROUPS, Group
from evals.bench.machine import machine, shipped_defaults, versions

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The benchmark.")


@app.callback()
def bench() -> None:
    """The benchmark."""


@app.command("list")
def list_groups() -> None:
    """The groups of figures there are."""
    for group in GROUPS:
        typer.echo(f"{group.name:10} {', '.join(group.figures)}")


@app.command()
def run(
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this group or figure; may be given again.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter runs: a look, not a measurement.")] = False,
    to: Annotated[Path, typer.Option("--out", help="Where the results go.")] = Path("bench.json"),
) -> None:
    """Measure, write the results and print the table. Exit code 1 where a figure falls short."""
    console = Console(width=None if os.isatty(1) else 170)
    # in the background a shell has its children ignore Ctrl-C's signal, and with it the end that is asked for
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    about = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "quick": quick, "machine": machine()}
    found: dict[str, Measured] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="selfheal-bench-") as folder:
            made = Bench(Path(folder), quick, lambda line: console.print(f"  {line}", style="dim", markup=False))
            for group in _chosen(only):
                found |= _measured(group, made, console)
    finally:
        _write(found, about, to)
        console.print(table(found))
    short = [name for name, told in as_json(found).items() if told["verdict"] == "falls short"]
    console.print(f"{len(found)} figures, {len(short)} fall short; written to {to}", markup=False)
    if short:
        raise typer.Exit(1)


def _measured(group: Group, made: Bench, console: Console) -> dict[str, Measured]:
    console.print(f"{group.name} …", markup=False)
    began = time.monotonic()
    try:
        found = group.measure(made)
    except Exception as error:  # one group that fails must not cost the others' figures
        console.print_exception(max_frames=4)
        found = dict.fromkeys(group.figures, unmeasured(f"{type(error).__name__}: {error}"[:300]))
    console.print(f"{group.name}: {time.monotonic() - began:.0f} s", markup=False)
    return found


def _chosen(only: list[str] | None) -> list[Group]:
    known = {name for group in GROUPS for name in (group.name, *group.figures)}
    if unknown := sorted(set(only or ()) - known):
        raise typer.BadParameter(f"no figure or group is named {', '.join(unknown)}: see `python -m evals.bench list`")
    return [group for group in GROUPS if not only or {group.name, *group.figures} & set(only)]


def _write(found: dict[str, Measured], about: dict[str, Any], to: Path) -> None:
    content = {
        **about,
        "versions": versions(),
        "settings": {
            "shipped_defaults": shipped_defaults(),
            "not_default": {group.name: group.settings for group in GROUPS if group.settings},
        },
        "figures": as_json(found),
    }
    to.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    app()
