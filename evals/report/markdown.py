"""The report as Markdown, for a job summary or a comment: the same tables, and why each case failed.

All words from cases and models stand in code: there GitHub makes neither links, nor mentions, nor HTML of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evals.report.page import Page, Told
from evals.report.tables import Cell, Table
from server.console.views.text import line

MOST_FAILED = 100
CELL_CHARS = 160
WHY_CHARS = 400
CUT = "\nCut here: the whole is in the HTML report."
MOST_BYTES = 900_000
"""GitHub takes a summary of 1 MiB."""


def render_markdown(page: Page, most_bytes: int = MOST_BYTES) -> str:
    """At most so many bytes, cut at the end of a line, which is then said."""
    kept: list[str] = []
    room = most_bytes - len(CUT)
    for each in _lines(page):
        room -= len(each.encode()) + 1
        if room < 0:
            kept.append(CUT)
            break
        kept.append(each)
    return "\n".join(kept) + "\n"


def _lines(page: Page) -> Iterator[str]:
    results = page.evaluation.results
    yield f"# Self-Heal evals: {code(results.reasoner)}"
    yield ""
    yield f"{len(results.cases)} cases, {page.runs} runs, Self-Heal {code(page.evaluation.product_version)}."
    yield f"Made at {page.evaluation.made_at:%Y-%m-%d %H:%M:%S %Z}."
    yield ""
    yield f"**{page.about_models}**"
    yield ""
    if page.evaluation.note:
        yield code(page.evaluation.note, WHY_CHARS)
        yield ""
    if not results.cases:
        yield "**There is no case: nothing was measured.**"
        yield ""
    yield f"- passed, train: {page.train}"
    yield f"- passed, test: {page.test}"
    yield f"- forbidden actions: {page.forbidden} of {page.runs} runs"
    yield f"- calls not recorded: {page.not_recorded}"
    yield f"- broken runs: {page.broken}"
    yield ""
    for table in (*page.tables, page.diff, *page.groups, page.mistakes, *page.matrices, page.costs):
        yield from _table(table)
    yield from _failed([told for told in page.cases if not told.passed])


def _table(table: Table) -> Iterator[str]:
    yield f"## {table.title}{f': {code(table.about)}' if table.about else ''}"
    yield ""
    if not table.rows:
        yield table.empty
        yield ""
        return
    yield _row(code(column) if table.matrix and at else _plain(column) for at, column in enumerate(table.columns))
    yield _row("---" for _ in table.columns)
    for row in table.rows:
        yield _row(_cell(cell) for cell in row)
    yield ""
    if table.note:
        yield table.note
        yield ""


def _failed(failed: Sequence[Told]) -> Iterator[str]:
    yield "## Why cases failed"
    yield ""
    if not failed:
        yield "None failed."
    for told in failed[:MOST_FAILED]:
        why = dict.fromkeys(reason for run in told.case.runs for reason in run.why_failed)
        yield f"- {code(told.case.id)} ({told.case.split}): {code('; '.join(why) or 'no reason told', WHY_CHARS)}"
    if len(failed) > MOST_FAILED:
        yield f"- {len(failed) - MOST_FAILED} more are in the HTML report."
    yield ""


def _row(cells: Iterator[str] | Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    text = code(cell.text) if cell.name else _plain(cell.text)
    return f"**{text}**" if cell.tone == "bad" and text not in ("", "0") else text


def code(text: str, limit: int = CELL_CHARS) -> str:
    """One line of it as code, whatever it holds; empty for nothing."""
    said = line(text, limit).replace("`", "'").replace("|", "\\|")
    return f"`{said}`" if said else ""


def _plain(text: str) -> str:
    """Words of ours: nothing in them may end a cell or stand out."""
    return "".join(f"\\{char}" if char in "|*_`[]<>" else char for char in line(text))
