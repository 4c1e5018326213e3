"""`selfheal evals run`: measure a reasoner on the cases, beside the three that know nothing."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from evals.baselines import BASELINES
from evals.commands.common import RootOption, cases_of, errors_in_words, quiet, shown
from evals.junit import junit
from evals.reasoners import Choice, choose
from evals.results import Evaluation
from evals.running import evaluate, processes
from evals.scripted import NOTE, Part, scripted
from evals.table import cost_line, failures, issues_table, scores_table
from server.commands.common import ConfigOption, JsonOption, err, out, print_json

Reasoner = Literal["runbook", "llm", "fallback"]


def run(
    context: typer.Context,
    reasoner: Annotated[Reasoner, typer.Option(help="The model alone is `llm`; as in production, `fallback`.")] = (
        "runbook"
    ),
    cases: Annotated[
        list[str] | None, typer.Option("--cases", help="Only folders that fit this; may be given again.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=100, help="How often each case is run.")] = 1,
    split: Annotated[Literal["train", "test"] | None, typer.Option(help="Only this split.")] = None,
    as_json: JsonOption = False,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML there.")] = None,
    to: Annotated[Path, typer.Option("--out", help="Where the results go.")] = Path("evals.json"),
    root: RootOption = None,
    config: ConfigOption = None,
    model: Annotated[str | None, typer.Option(help="Instead of the settings' model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Instead of the settings' server.")] = None,
    part: Annotated[
        Part | None, typer.Option("--scripted", help="Measure no model but our guards: a server plays this part.")
    ] = None,
) -> None:
    """Run the cases and score them. Writes all there is to know to --out.

    Exit codes: 0 measured, whatever the scores; 1 a case or the lock can't be read; 2 usage: no such case, no model.
    """
    with errors_in_words(), quiet():
        chosen = cases_of(root, cases, split)
        playing = (
            scripted(part, reasoner, chosen)
            if part
            else nullcontext(_choice(context, reasoner, config, model, base_url))
        )
        replays = len(chosen) * (len(BASELINES) + runs)
        with processes(replays) as pool, playing as choice, shown(len(chosen) * (1 + len(BASELINES)), err()) as told:
            results = evaluate(chosen, choice, runs, told, pool)
            beside = tuple(evaluate(chosen, Choice(name), 1, told, pool) for name in BASELINES)
    note = NOTE if part else ""
    made_at = datetime.now(UTC).replace(microsecond=0)
    evaluation = Evaluation(
        made_at=made_at, product_version=version("selfheal"), results=results, baselines=beside, note=note
    )
    written = evaluation.model_dump(mode="json")
    to.write_text(evaluation.model_dump_json(indent=1) + "\n")
    if junit_file is not None:
        junit_file.write_text(junit(results, note))
    if as_json:
        print_json(written)
    else:
        _show(evaluation, to)


def _choice(
    context: typer.Context, reasoner: Reasoner, config: Path | None, model: str | None, base_url: str | None
) -> Choice:
    common: Any = context.find_root().obj
    return choose(reasoner, config or getattr(common, "config", None), model, base_url)


def _show(evaluation: Evaluation, to: Path) -> None:
    console, results = out(), evaluation.results
    console.print(scores_table(evaluation))
    console.print(issues_table(results))
    for line in failures(results):
        console.print(line, soft_wrap=True)
    console.print(cost_line(results), markup=False, soft_wrap=True)
    if evaluation.note:
        console.print(evaluation.note, style="bold yellow", markup=False, soft_wrap=True)
    console.print(f"written to {to}", style="dim", markup=False, soft_wrap=True)
