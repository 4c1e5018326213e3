"""`python -m evals.lab run`: cause real faults on real hosts, let Self-Heal heal them, and say what came of each."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evals.lab.audit import Offence
from evals.lab.detect import lab_refusal
from evals.lab.faults import faults
from evals.lab.runner import lab_up, offences_shown
from evals.lab.situations import SITUATIONS
from evals.lab.stage import Fault, LabError
from evals.lab.surroundings import ALL, VARIABLE, current
from evals.lab.verdict import Verdict, by_stage, failed, roles_for, table

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The lab: real hosts, real faults.")


@app.callback()
def lab() -> None:
    """The lab: real hosts, real faults."""


@app.command("list")
def list_faults() -> None:
    """The faults there are."""
    for each in (*faults("lab"), *SITUATIONS):
        typer.echo(f"{each.name:28} {each.kind:9} {each.issue_type:18} {each.expected_outcome:13} {each.says}")


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Option("--fault", help="Only this fault; may be given again.")] = None,
    issue_type: Annotated[str | None, typer.Option("--type", help="Only faults of this issue type.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only faults of this kind of resource.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="How often all of it.")] = 1,
    to: Annotated[Path, typer.Option("--out", help="Where the results go.")] = Path("lab.json"),
    record: Annotated[Path | None, typer.Option(help="Record each incident as a case below this folder.")] = None,
    surroundings: Annotated[str | None, typer.Option(help=f"One of {', '.join(ALL)}.")] = None,
) -> None:
    """Run faults and print the table; exit code 1 where one went wrong, or a command is unaccounted for."""
    _stand_in(surroundings)
    console = Console(width=None if os.isatty(1) else 160)
    # in the background a shell has its children ignore Ctrl-C's signal, and with it the end that is asked for
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    chosen = _chosen(names, issue_type, kind, record is not None)
    if refusal := lab_refusal():
        console.print(f"the lab can't run here: {refusal}", style="red", markup=False)
        raise typer.Exit(2)
    verdicts: list[Verdict] = []
    offences: list[Offence] = []
    try:
        for number in range(1, runs + 1):
            if runs > 1:
                console.rule(f"run {number} of {runs}")
            for group in by_stage(chosen).values():
                _run_group(group, verdicts, offences, console, record)
    finally:
        _write(verdicts, to)
        console.print(table(verdicts))
    right = sum(verdict.ok for verdict in verdicts)
    console.print(
        f"{right} of {len(verdicts)} as expected; commands on the hosts: {offences_shown(offences)}", markup=False
    )
    if right < len(verdicts) or offences:
        raise typer.Exit(1)


def _stand_in(surroundings: str | None) -> None:
    """Begin anew as a process of those surroundings, where it is not one."""
    if surroundings in (None, current().name):
        return
    if surroundings not in ALL:
        raise typer.BadParameter(f"there are {', '.join(ALL)}", param_hint="--surroundings")
    command = [sys.executable, "-m", "evals.lab", *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, VARIABLE: str(surroundings)})


def _write(verdicts: list[Verdict], to: Path) -> None:
    """The results; and beside them, whole, the records of the heals that were not as expected."""
    to.write_text(json.dumps([verdict.as_json() for verdict in verdicts], indent=1) + "\n")
    wrong = [
        {"fault": verdict.fault.name, "problems": verdict.problems, "record": verdict.record}
        for verdict in verdicts
        if not verdict.ok
    ]
    beside = to.with_suffix(".wrong.json")
    beside.unlink(missing_ok=True)
    if wrong:
        beside.write_text(json.dumps(wrong, indent=1) + "\n")


def _chosen(names: list[str] | None, issue_type: str | None, kind: str | None, situations: bool) -> list[Fault]:
    """Situations only where they are named, or recorded."""
    known = (*faults("lab"), *SITUATIONS)
    if unknown := sorted(set(names or ()) - {each.name for each in known}):
        raise typer.BadParameter(f"no fault is named {', '.join(unknown)}: see `python -m evals.lab list`")
    chosen = [
        each
        for each in known
        if (each.name in names if names else situations or each not in SITUATIONS)
        and issue_type in (None, each.issue_type)
        and kind in (None, each.kind)
    ]
    # in the order in which they were named, where they were
    return sorted(chosen, key=lambda each: names.index(each.name)) if names else chosen


def _run_group(
    group: list[Fault], verdicts: list[Verdict], offences: list[Offence], console: Console, record: Path | None
) -> None:
    began = time.monotonic()
    done: list[Verdict] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="selfheal-lab-run-") as folder,
            lab_up(
                roles_for(group[0]), Path(folder), lambda line: console.print(line, style="dim", markup=False), record
            ) as lab,
        ):
            console.print(f"up in {time.monotonic() - began:.1f} s: {', '.join(h.role for h in lab.stage.hosts)}")
            lab.quiet()
            for each in group:
                done.append(_told(lab.run(each), console))
            # a recorder asks the hosts more than is on any record
            offences += lab.audit() if record is None else []
    except LabError as error:
        console.print(f"the stage failed: {error}", style="red", markup=False)
        done += [failed(each, f"the stage failed: {str(error)[:300]}") for each in group[len(done) :]]
    finally:
        verdicts += done


def _told(verdict: Verdict, console: Console) -> Verdict:
    """One line as it happens."""
    took = verdict.seconds.get("mitigated")
    after = f" after {took:.1f} s" if took is not None else ""
    words = (
        f"{verdict.fault.name}: {verdict.cause or '?'} → {', '.join(verdict.actions) or 'nothing'} → {verdict.outcome}"
    )
    problem = "" if verdict.ok else f"  WRONG: {'; '.join(verdict.problems)}"
    console.print(f"{words}{after}{problem}", style="green" if verdict.ok else "red", markup=False)
    return verdict


if __name__ == "__main__":
    app()
