"""`selfheal evals report`: what an evaluation came to, as one page of HTML and as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from evals.commands.common import default_root, errors_in_words, fail
from evals.gate import Baseline, baseline_path, read_baseline
from evals.report.html import render_html
from evals.report.markdown import render_markdown
from evals.report.page import page_of
from evals.results import Evaluation
from server import exits


def report(
    results: Annotated[Path, typer.Argument(help="What `selfheal evals run` wrote.")] = Path("evals.json"),
    out: Annotated[Path, typer.Option("--out", help="Where the page goes.")] = Path("report.html"),
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Where the same goes as Markdown.")] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="What to compare with. Default: the checkout's, where it has one.")
    ] = None,
) -> None:
    """Write an evaluation as one HTML page that needs nothing else, and as Markdown.

    Exit codes: 0 written, whatever the scores; 1 it can't be written; 2 there are no such results, or no such baseline.
    """
    with errors_in_words():
        page = page_of(_evaluation(results), _baseline(baseline))
    _write(out, render_html(page))
    if markdown is not None:
        _write(markdown, render_markdown(page))
    typer.echo(page.about_models)


def _evaluation(path: Path) -> Evaluation:
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        fail(f"{path}: there are no results: `selfheal evals run` writes them", exits.USAGE)
    except OSError as error:
        fail(f"{path}: {error.strerror}", exits.USAGE)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        fail(f"{path}: these are no results of `selfheal evals run`: {where}: {first['msg']}", exits.USAGE)


def _baseline(path: Path | None) -> Baseline | None:
    """Raises InvalidBaseline for one that was asked for by name and is none."""
    wanted = path or baseline_path(default_root())
    return read_baseline(wanted) if path or wanted.exists() else None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{path}: {error.strerror}", exits.ERROR)
    typer.echo(f"written: {path}")
