"""Results as people read them in a terminal: both splits apart, the baselines beside them, and what failed and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from evals.results import Evaluation, Results
from evals.summary import Summary, summarise

COLUMNS = ("cause", "family", "plan", "abstention", "grounding", "evidence_recall", "trajectory")
HEADINGS = {"evidence_recall": "recall", "abstention": "abstain", "grounding": "proof", "trajectory": "path"}
MANY = 40
WHY_CHARS = 150


def scores_table(evaluation: Evaluation) -> Table:
    """A row a reasoner and split."""
    table = _table("scores by split (1 is best; of Brier and forbidden actions 0)", "reasoner", "split")
    for heading in ("passed", "95 %", "score", *(HEADINGS.get(name, name) for name in COLUMNS), "Brier", "forbid"):
        table.add_column(heading, justify="right", no_wrap=True)
    for results in (evaluation.results, *evaluation.baselines):
        for found in summarise(results, "split"):
            table.add_row(results.reasoner, found.name, *_figures(found))
        table.add_section()
    return table


def issues_table(results: Results) -> Table:
    """A row a kind and issue type, of the reasoner that is measured."""
    table = _table(f"{results.reasoner} by kind, issue type and trait", "")
    for heading in ("passed", "95 %", "score"):
        table.add_column(heading, justify="right", no_wrap=True)
    for by in ("kind", "issue_type", "trait"):
        for found in summarise(results, by):
            table.add_row(found.name, *_figures(found)[:3])
        table.add_section()
    return table


def failures(results: Results) -> Iterator[Text]:
    """A line a case that did not pass in every run."""
    failed = [case for case in results.cases if not case.passed]
    for case in failed[:MANY]:
        why = next(run.why_failed for run in case.runs if not run.passed)
        runs = "" if len(case.runs) == 1 else f" ({sum(run.passed for run in case.runs)}/{len(case.runs)} runs passed)"
        told = "; ".join(why)
        short = told if len(told) <= WHY_CHARS else told[: WHY_CHARS - 1] + "…"
        yield Text.assemble((case.id, "bold"), f" [{case.split}]{runs} {short}")
    if len(failed) > MANY:
        yield Text(f"… and {len(failed) - MANY} more")


def cost_line(results: Results) -> str:
    """What the model cost, and how long all took."""
    [whole] = summarise(results) or [None]
    if whole is None or not whole.cases:
        return "no case was run"
    each = whole.cases * len(results.cases[0].runs)
    took = f"{each} runs in {results.seconds:.1f} s ({each / max(results.seconds, 0.001):.0f}/s)"
    if not whole.calls:
        return f"{took}; no model was asked"
    price = "" if whole.cost_usd is None else f", {whole.cost_usd:.2f} USD"
    return f"{took}; {whole.calls} calls of the model, {whole.tokens} tokens, {whole.seconds:.0f} s{price}"


def _table(title: str, *texts: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in texts:
        table.add_column(heading, no_wrap=True)
    return table


def _figures(found: Summary) -> Sequence[str]:
    return (
        f"{found.passed}/{found.cases}",
        f"{100 * found.low:.0f}-{100 * found.high:.0f}",
        f"{found.total:.3f}",
        *(_figure(found.means.get(name)) for name in COLUMNS),
        _figure(found.brier, 3),
        str(found.forbidden),
    )


def _figure(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
