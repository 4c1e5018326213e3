"""What the report says of an evaluation: the figures, what changed, and hostile text as text."""

from __future__ import annotations

import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from evals.commands.report import report
from evals.gate import Baseline, BaselineCase, baseline_of, write_baseline
from evals.report.html import render_html
from evals.report.markdown import MOST_BYTES, code, render_markdown
from evals.report.page import Page, page_of
from evals.report.rates import Rate
from evals.report.tables import Table
from tests.evals.evaluated import case, evaluation, piece, run

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (
    "</pre><script>alert(1)</script><img src=x onerror=alert(2)> `x` | [a](http://evil.test) @everyone \u202e\x1b[2J"
)


def table(page: Page, title: str) -> Table:
    return next(each for each in (*page.tables, *page.groups, page.costs, page.diff) if each.title == title)


def texts(of: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in of.rows]


def test_both_splits_stand_apart_beside_the_baselines() -> None:
    cases = (case("amber-fox"), case("brisk-fox", run(False, "crashed")), case("green-fox", split="test"))
    assert texts(table(page_of(evaluation(*cases), None), "Both splits, beside the baselines")) == [
        ["runbook", "1/2 · 50 % (9 to 91)", "1/1 · 100 % (21 to 100)", "0.70", "1.00", "0", "0"],
        ["always_unknown", "0/2 · 0 % (0 to 66)", "0/1 · 0 % (0 to 79)", "0.40", "0.40", "0", "0"],
    ]


def test_several_runs_of_a_case_make_the_rate_finer_and_not_surer() -> None:
    thrice = page_of(evaluation(case("amber-fox", run(), run(number=2), run(False, number=3))), None)
    assert str(thrice.train) == "0.7/1 · 67 % (9 to 97)"
    assert thrice.train.interval == Rate(2 / 3, 1).interval


def test_scores_are_told_by_kind_issue_type_cause_and_trait() -> None:
    cases = (
        case("amber-fox"),
        case(
            "brisk-fox", run(True, "slot"), kind="PostgreSQL", issue_type="disk_full", accepted_causes=("slot", "wal")
        ),
        case("green-fox", run(False), traits=("poisoned", "red_herring")),
    )
    page = page_of(evaluation(*cases), None)
    assert [row[0] for row in texts(table(page, "By kind of resource"))] == ["Instance", "PostgreSQL"]
    assert [row[0] for row in texts(table(page, "By issue type"))] == ["disk_full", "service_down"]
    assert [row[0] for row in texts(table(page, "By cause"))] == ["oom", "slot"]
    assert [row[:2] for row in texts(table(page, "By what makes it hard"))] == [
        ["nothing special", "2/2 · 100 % (34 to 100)"],
        ["poisoned", "0/1 · 0 % (0 to 79)"],
        ["red_herring", "0/1 · 0 % (0 to 79)"],
    ]


def test_a_scorer_counts_only_where_it_applies() -> None:
    rows = texts(table(page_of(evaluation(case(), case("brisk-fox", split="test")), None), "By scorer"))
    assert rows[0] == ["cause", "1.00", "1", "1.00", "1"]
    assert rows[1] == ["abstention", "none", "0", "none", "0"]


def test_the_matrix_has_one_row_for_what_is_right_and_one_column_for_what_was_said() -> None:
    cases = (
        case("amber-fox", run(), run(False, "crashed")),
        case("brisk-fox", run(True, "killed"), accepted_causes=("oom", "killed")),
        case("green-fox", run(False, ""), accepted_causes=("crashed",)),
    )
    page = page_of(evaluation(*cases), None)
    [matrix] = page.matrices
    assert matrix.columns[1:] == ("crashed", "oom", "(no diagnosis)", "killed")
    assert texts(matrix) == [["crashed", "·", "·", "1", "·"], ["oom", "1", "1", "·", "1"]]
    assert [[cell.tone for cell in row[1:]] for row in matrix.rows] == [
        ["dim", "dim", "bad", "dim"],
        ["bad", "good", "dim", "good"],
    ]
    assert texts(page.mistakes) == [
        ["Instance", "crashed", "(no diagnosis)", "1"],
        ["Instance", "oom", "crashed", "1"],
    ]


def test_each_case_is_held_to_the_baseline_the_worst_first() -> None:
    cases = (
        case("mended-one"),
        case("broken-one", run(False, "crashed")),
        case("rash-one", run(False, actions=("hard_reboot",), forbidden=("hard_reboot",))),
        case("same-one"),
        case("new-one"),
        case("better-one"),
    )
    was = {
        "mended-one": BaselineCase(passed=False, score=0.4),
        "broken-one": BaselineCase(passed=True, score=1.0),
        "rash-one": BaselineCase(passed=False, score=0.4),
        "same-one": BaselineCase(passed=True, score=1.0),
        "better-one": BaselineCase(passed=True, score=0.9),
        "gone-one": BaselineCase(passed=True, score=1.0),
    }
    page = page_of(evaluation(*cases), Baseline(reasoner="runbook", total=0.8, cases=was))
    assert [row[:4] for row in texts(page.diff)] == [
        ["broken-one", "regressed", "passed, 1.00", "failed, 0.40"],
        ["rash-one", "regressed", "failed, 0.40", "failed, 0.40"],
        ["mended-one", "mended", "failed, 0.40", "passed, 1.00"],
        ["better-one", "scores higher", "passed, 0.90", "passed, 1.00"],
        ["new-one", "new", "not there", "passed, 1.00"],
        ["gone-one", "gone", "passed, 1.00", "not there"],
    ]
    assert (page.diff.about, page.diff.note) == ("runbook", "")


def test_a_model_held_to_the_runbooks_baseline_is_said_to_be_so() -> None:
    page = page_of(evaluation(case(), reasoner="llm:tiny"), Baseline(reasoner="runbook", total=1.0, cases={}))
    for text in (render_markdown(page), render_html(page)):
        assert "The baseline is of another reasoner than these results" in text


@pytest.mark.parametrize(
    ("reasoner", "calls", "real", "said"),
    [
        ("runbook", 0, False, "No model was measured: the runbook reasoner asks none."),
        ("llm:tiny", 0, True, "No model was measured: none was called."),
        ("llm:tiny", 2, False, "No model was measured: 2 answers were scripted"),
        ("llm:tiny", 2, True, "A model was measured: 2 calls in 1 runs."),
    ],
)
def test_whether_a_model_was_measured_is_said_plainly(reasoner: str, calls: int, real: bool, said: str) -> None:
    spent = run(model_calls=calls, input_tokens=900 * calls)
    page = page_of(evaluation(case("amber-fox", spent), reasoner=reasoner, measures_a_model=real), None)
    assert said in render_html(page)
    assert said in render_markdown(page)


def test_cost_is_plotted_by_tokens_only_where_there_were_any() -> None:
    asked = run(model_calls=1, input_tokens=1500, output_tokens=100, cost_usd=0.01)
    assert [plot.axis for plot in page_of(evaluation(case()), None).plots] == ["seconds per run"]
    [tokens, _] = page_of(evaluation(case("amber-fox", asked), reasoner="llm:tiny"), None).plots
    assert [(point.name, point.cost) for point in tokens.points] == [("llm:tiny", 1600.0), ("always_unknown", 0.0)]


def test_a_price_that_is_not_known_of_all_calls_is_not_made_up() -> None:
    known, unknown = run(model_calls=1, cost_usd=0.01), run(model_calls=1, cost_usd=None)
    row = texts(table(page_of(evaluation(case("amber-fox", known, unknown)), None), "What it cost"))[0]
    assert row[5] == "no price known"


class Tags(HTMLParser):
    """What a browser would make of a page: its elements, and all that would be loaded."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.loads: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


def hostile() -> Page:
    said = run(
        False, HOSTILE, summary=HOSTILE, author=HOSTILE, why_failed=(HOSTILE,), actions=(HOSTILE,), error=HOSTILE
    )
    said = said.model_copy(
        update={
            "path": (HOSTILE,),
            "not_recorded": (HOSTILE,),
            "evidence": (piece(HOSTILE, source=HOSTILE, asked=HOSTILE, text=HOSTILE, facts=(HOSTILE,)),),
        }
    )
    cases = (case(HOSTILE, said, kind=HOSTILE, accepted_causes=(HOSTILE,), mechanism=HOSTILE),)
    return page_of(evaluation(*cases, reasoner=HOSTILE, note=HOSTILE), None)


def test_hostile_text_is_text_in_html() -> None:
    tags = Tags(render_html(hostile()))
    assert tags.names.isdisjoint({"script", "img", "iframe", "object", "form"})
    assert not [name for name in tags.attributes if name.startswith("on") or name == "style"]
    html = render_html(hostile())
    assert "\u202e" not in html and "\x1b" not in html
    assert "[U+202E]" in html and "&lt;script&gt;" in html


def test_hostile_text_is_code_in_markdown() -> None:
    markdown = render_markdown(hostile())
    outside = re.sub(r"`[^`]*`", "", markdown)
    for sign in ("<", "http:", "@everyone", "[a]", "\u202e", "\x1b"):
        assert sign not in outside
    for line in markdown.splitlines():
        assert line.count("`") % 2 == 0, line
    assert code("a`b|c\nd") == "`a'b\\|c d`"


def test_the_page_loads_nothing_and_its_policy_lets_nothing_be_loaded() -> None:
    html = render_html(page_of(evaluation(case(), case("brisk-fox", run(False))), None))
    assert all(each.startswith("#") or each == "data:," for each in Tags(html).loads)
    assert "default-src 'none'; style-src 'sha256-" in html.replace("&#39;", "'")
    assert "url(" not in html and "@import" not in html


def test_evidence_shows_what_was_cited_and_what_should_have_been() -> None:
    html = render_html(
        page_of(evaluation(case("amber-fox", run(False, not_recorded=('journal {"unit":"db"}',)))), None)
    )
    assert "required, not cited" in html
    assert "journal {&#34;unit&#34;:&#34;db&#34;}" in html
    assert "1 not recorded" in html


def test_markdown_stays_below_what_github_takes() -> None:
    page = page_of(evaluation(*(case(f"case-{number:05}", run(False)) for number in range(50))), None)
    assert MOST_BYTES < 1024 * 1024
    assert "Cut here" not in render_markdown(page)
    cut = render_markdown(page, 3_000)
    assert 2_500 < len(cut.encode()) <= 3_001
    assert cut.endswith("Cut here: the whole is in the HTML report.\n")


def test_an_installed_package_has_the_templates() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["evals"]
    shipped = {path for pattern in data for path in (ROOT / "evals").glob(pattern)}
    templates = set((ROOT / "evals/report/templates").iterdir())
    assert {path.name for path in templates} >= {"report.html", "report.css", "macros.html"}
    assert templates <= shipped


# -- the command -------------------------------------------------------------------------------------------


def told(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(report)
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_the_command_writes_both_and_finds_what_changed(tmp_path: Path) -> None:
    before = evaluation(case("amber-fox"), case("brisk-fox"))
    now = evaluation(case("amber-fox", run(False, "crashed")), case("brisk-fox"))
    write_baseline(baseline_of(before.results), tmp_path / "baseline.json")
    (tmp_path / "evals.json").write_text(now.model_dump_json())
    html, markdown = tmp_path / "r.html", tmp_path / "r.md"
    done = told(
        *(tmp_path / "evals.json", "--out", html, "--markdown", markdown, "--baseline", tmp_path / "baseline.json")
    )
    assert done.exit_code == 0, done.output
    assert "| `amber-fox` | **regressed** | passed, 1.00 | failed, 0.40 |" in markdown.read_text()
    assert "brisk-fox" in html.read_text()


def test_an_evaluation_of_no_case_makes_a_page_that_says_so(tmp_path: Path) -> None:
    page = page_of(evaluation(), None)
    for text in (render_html(page), render_markdown(page)):
        assert "There is no case" in text
        assert "There is no baseline" in text
        assert "No model was measured" in text


@pytest.mark.parametrize(
    ("content", "said"), [(None, "there are no results"), ("{}", "these are no results"), ("<", "these are no results")]
)
def test_what_is_no_evaluation_is_refused_in_words(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "evals.json"
    if content is not None:
        path.write_text(content)
    done = told(path, "--out", tmp_path / "r.html")
    assert done.exit_code == 2
    assert said in done.output.replace("\n", " ")
    assert not (tmp_path / "r.html").exists()


def test_a_baseline_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "evals.json").write_text(evaluation(case()).model_dump_json())
    done = told(tmp_path / "evals.json", "--out", tmp_path / "r.html", "--baseline", tmp_path / "none.json")
    assert done.exit_code == 2
    assert "there is no baseline" in done.output
