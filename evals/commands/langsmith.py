"""`selfheal evals langsmith upload|run`: the same cases and scorers at LangSmith. Nothing is sent but by these two."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from langsmith.utils import LangSmithError

from evals.case import Split
from evals.commands.common import RootOption, cases_of, errors_in_words, fail
from evals.commands.run import Reasoner
from evals.langsmith import DATASET, NotTheSame, Unscored, measure
from evals.langsmith import upload as send
from evals.langsmith_client import EvalsClient, OfflineClient
from evals.reasoners import choose
from evals.results import Evaluation
from server import exits
from server.commands.common import ConfigOption, err
from tools.redaction import redact

KEYS = ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")

app = typer.Typer(no_args_is_help=True, help="The cases and scorers at LangSmith, where a key is set. Redacted.")

CasesOption = Annotated[
    list[str] | None, typer.Option("--cases", help="Only folders that fit this; may be given again.")
]
DatasetOption = Annotated[str, typer.Option("--dataset", help="Its name at LangSmith.")]
SplitOption = Annotated[Split | None, typer.Option("--split", help="Only this split.")]


@app.command()
def upload(
    cases: CasesOption = None,
    split: SplitOption = None,
    root: RootOption = None,
    dataset: DatasetOption = DATASET,
) -> None:
    """Make the dataset of these cases, or bring it up to date.

    Exit codes: 0 it is as the cases are; 1 LangSmith refused or could not be reached; 2 no key, or no such case.
    """
    with errors_in_words(), _langsmith() as client:
        told = send(client, cases_of(root, cases, split), dataset)
    typer.echo(
        f"dataset {dataset} at {client.api_url}: {told.created} made, {told.updated} changed, {told.same} as before"
    )
    if told.strange:
        typer.echo(f"{told.strange} more examples there are of none of these cases, and were left alone")


@app.command()
def run(
    context: typer.Context,
    reasoner: Annotated[Reasoner, typer.Option(help="The model alone is `llm`; as in production, `fallback`.")] = (
        "runbook"
    ),
    cases: CasesOption = None,
    split: SplitOption = None,
    runs: Annotated[int, typer.Option(min=1, max=100, help="How often each case is run.")] = 1,
    local: Annotated[bool, typer.Option("--local", help="Send nothing: the same evaluation, all of it here.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write the results for `evals report` as well.")] = None,
    root: RootOption = None,
    dataset: DatasetOption = DATASET,
    config: ConfigOption = None,
    model: Annotated[str | None, typer.Option(help="Instead of the settings' model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Instead of the settings' server.")] = None,
) -> None:
    """Measure a reasoner by `langsmith.evaluate`, with our scorers as evaluators.

    Exit codes: 0 measured, whatever the scores; 1 LangSmith refused, or did not get all; 2 no key, no such case, or
    the dataset is not of these cases.
    """
    common: Any = context.find_root().obj
    with errors_in_words():
        chosen = cases_of(root, cases, split)
        choice = choose(reasoner, config or getattr(common, "config", None), model, base_url)
        # evaluate() says on stdout where to look
        with _langsmith(local) as client, redirect_stdout(err().file):
            results = measure(None if local else client, chosen, choice, runs, dataset)
    passed = sum(case.passed for case in results.cases)
    typer.echo(f"{results.reasoner}: {passed} of {len(results.cases)} cases passed, score {results.total:.4f}")
    if out is not None:
        made_at = datetime.now(UTC).replace(microsecond=0)
        evaluation = Evaluation(made_at=made_at, product_version=version("selfheal"), results=results)
        out.write_text(evaluation.model_dump_json(indent=1) + "\n")
    typer.echo("nothing was sent" if local else f"sent to {client.api_url}")
    if client.failures:
        fail(f"{len(client.failures)} things did not arrive at LangSmith, first: {client.failures[0]}", exits.ERROR)


@contextmanager
def _langsmith(local: bool = False) -> Iterator[EvalsClient]:
    """The client, and its errors in words. Exits where no key is set."""
    if not local and not any(os.environ.get(name) for name in KEYS):
        fail(f"no key is set, and nothing was sent: set {KEYS[0]}", exits.USAGE)
    try:
        client = OfflineClient() if local else EvalsClient()
        yield client
        client.close()
    except NotTheSame as error:
        fail(str(error), exits.USAGE)
    except (LangSmithError, Unscored, OSError) as error:
        fail(f"LangSmith: {redact(str(error))[:500]}", exits.ERROR)
