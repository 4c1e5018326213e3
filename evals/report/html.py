"""The report as one page of HTML: nothing is loaded, nothing runs, and what came from telemetry is text.

The policy in its head allows the one style sheet that is in it, by its hash, so that not even a mistake of ours in
escaping could run or load something.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from evals.report import comparing, drawing
from evals.report.costs import Plot
from evals.report.page import Page
from evals.report.rates import Rate
from server.console.views.text import line, shown

HERE = Path(__file__).parent
EVIDENCE_CHARS = 6_000
"""Of one piece of evidence: a page of hundreds of runs must still open on a telephone."""


def render_html(page: Page) -> str:
    style = _style()
    return (
        _environment()
        .get_template("report.html")
        .render(page=page, style=Markup(style), policy=_policy(style), evidence_chars=EVIDENCE_CHARS)
    )


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


@cache
def _style() -> str:
    return (HERE / "templates" / "report.css").read_text()


@cache
def _environment() -> Environment:
    pages = Environment(
        loader=PackageLoader("evals.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"shown": shown, "line": line, "bar": _bar, "anchor": anchor}
    pages.globals |= {"draw": _draw, "said": comparing.SAID}
    return pages


def anchor(case_id: str) -> str:
    """An id of its details: of a case whose id is none of ours as well."""
    return f"case-{re.sub('[^a-z0-9-]', '-', case_id.lower())}"


def _bar(rate: Rate) -> Markup:
    return Markup(drawing.bar(rate))


def _draw(plot: Plot, name: str) -> Markup:
    return Markup(drawing.draw(plot, name))
