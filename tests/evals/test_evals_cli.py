"""`selfheal evals …` as people and CI type it."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import Result
from typer.testing import CliRunner

from evals.case import load_cases, write_case
from evals.commands import app
from evals.results import Evaluation
from server.cli import make_app
from tests.evals.made_cases import crashed, store


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "SELFHEAL_CONFIG", "SELFHEAL_LLM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "store" / "cases"
    store(folder, 2)
    return folder


def evals(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def accepted(root: Path) -> None:
    assert evals("split", "--freeze", "--root", root).exit_code == 0
    assert evals("baseline", "--accept", "--root", root).exit_code == 0


def change(root: Path, id: str, **fields: Any) -> None:
    """Another opinion of what is right in this case."""
    [case] = load_cases(root, [id])
    write_case(case.__class__(**{**vars(case), "expected": case.expected.model_copy(update=fields)}))


# -- run ---------------------------------------------------------------------------------------------------


def test_run_shows_both_splits_beside_the_three_that_know_nothing(root: Path, tmp_path: Path) -> None:
    accepted(root)
    ran = evals("run", "--root", root)
    assert ran.exit_code == 0, ran.output
    rows = [line.split()[:3] for line in ran.output.splitlines()]
    assert ["runbook", "test", "2/2"] in rows and ["runbook", "train", "4/4"] in rows
    for name in ("always-unknown", "always-the-first-cause", "always-restart"):
        assert [row[1] for row in rows if row and row[0] == name] == ["test", "train"]
    written = Evaluation.model_validate_json((tmp_path / "evals.json").read_text())
    assert written.results.reasoner == "runbook" and len(written.baselines) == 3


def test_run_says_what_failed_and_why_and_still_has_measured(root: Path) -> None:
    change(root, "case-000", accepted_causes=("oom_killed",))
    ran = evals("run", "--root", root)
    assert ran.exit_code == 0
    assert "case-000 [train] cause: accepted: oom_killed; suspected: process_crashed" in ran.output


def test_run_takes_globs_a_split_and_a_number_of_runs_and_prints_json(root: Path, tmp_path: Path) -> None:
    accepted(root)
    ran = evals("run", "--root", root, "--cases", "case-000", "--cases", "case-00[12]", "--json", "--runs", "2")
    told = json.loads(ran.stdout)
    assert [case["id"] for case in told["results"]["cases"]] == ["case-000", "case-001", "case-002"]
    assert [len(case["runs"]) for case in told["results"]["cases"]] == [2, 2, 2]
    ran = evals("run", "--root", root, "--split", "test", "--json", "--out", tmp_path / "other.json")
    told = json.loads(ran.stdout)
    assert {case["split"] for case in told["results"]["cases"]} == {"test"}
    assert json.loads((tmp_path / "other.json").read_text()) == told


def test_run_writes_junit_for_ci(root: Path, tmp_path: Path) -> None:
    change(root, "case-000", accepted_causes=("oom_killed",))
    assert evals("run", "--root", root, "--junit", tmp_path / "junit.xml").exit_code == 0
    document = ElementTree.parse(tmp_path / "junit.xml").getroot()
    [suite] = document.findall("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "1", "0")
    [failure] = document.iter("failure")
    assert (failure.get("message") or "").startswith("cause: accepted: oom_killed")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cases", "nothing-*"), "no case fits nothing-*"),
        (("--split", "test"), "in the test split"),
        (("--reasoner", "llm"), "OPENAI_API_KEY"),
        (("--scripted", "right"), "give --reasoner llm or fallback"),
    ],
)
def test_what_cannot_be_run_is_a_matter_of_usage(root: Path, words: tuple[str, ...], said: str) -> None:
    ran = evals("run", "--root", root, *words)
    assert (ran.exit_code, said in ran.output.replace("\n", " ")) == (2, True), ran.output


def test_a_folder_without_cases_says_where_there_are_some(tmp_path: Path) -> None:
    ran = evals("run", "--root", tmp_path / "nowhere")
    assert ran.exit_code == 2 and "use a checkout of the sources" in ran.output.replace("\n", " ")


def test_a_case_that_cannot_be_read_is_an_error_that_names_file_and_field(root: Path) -> None:
    (root / "case-001" / "expected.yaml").write_text("ending: maybe\n")
    ran = evals("run", "--root", root)
    assert ran.exit_code == 1 and "case-001/expected.yaml: ending" in ran.output.replace("\n", "")


def test_scripted_replies_are_called_what_they_are(root: Path, tmp_path: Path) -> None:
    words = ("--reasoner", "fallback", "--scripted", "right", "--cases", "case-000", "--junit", tmp_path / "junit.xml")
    ran = evals("run", "--root", root, *words)
    assert ran.exit_code == 0, ran.output
    assert "scripted replies: measures no model" in ran.output
    written = Evaluation.model_validate_json((tmp_path / "evals.json").read_text())
    assert (written.results.measures_a_model, written.note) == (False, "scripted replies: measures no model")
    assert "measures no model" in (tmp_path / "junit.xml").read_text()


# -- gate and baseline ---------------------------------------------------------------------------------------


def test_the_gate_lets_through_what_is_no_worse(root: Path) -> None:
    accepted(root)
    ran = evals("gate", "--root", root)
    assert ran.exit_code == 0 and "nothing is worse in 6 cases" in ran.output


def train_case(root: Path) -> str:
    """A crash that nobody froze."""
    return next(case.id for case in load_cases(root) if case.expected.mechanism == "killed")


def test_the_gate_says_which_case_is_worse_and_why(root: Path) -> None:
    accepted(root)
    change(root, train_case(root), accepted_causes=("oom_killed",))
    ran = evals("gate", "--root", root)
    assert ran.exit_code == 1
    assert "case-000: fails: passed before; cause: accepted: oom_killed; suspected: process_crashed" in ran.output
    assert "all: total:" in ran.output and "--accept" in ran.output


def test_the_gate_stops_a_forbidden_action(root: Path) -> None:
    accepted(root)
    change(root, train_case(root), forbidden_actions=("restart_service",))
    ran = evals("gate", "--root", root)
    assert ran.exit_code == 1
    assert "case-000: forbidden: safety: forbidden: restart_service; would have run unasked" in ran.output


def test_the_gate_misses_a_case_and_notices_a_new_one(root: Path) -> None:
    accepted(root)
    crashed(root, "case-new", mechanism="another")
    for file in (root / train_case(root)).rglob("*.*"):
        file.unlink()
    ran = evals("gate", "--root", root)
    assert ran.exit_code == 1
    assert "case-new: not in the baseline" in ran.output and "case-000: not in the store" in ran.output


def test_the_gate_notices_a_changed_test_case(root: Path) -> None:
    accepted(root)
    frozen = sorted(json.loads((root.parent / "test.lock").read_text())["cases"])[0]
    with (root / frozen / "case.yaml").open("a") as file:
        file.write("# easier now\n")
    for command in (("gate",), ("split",), ("split", "--freeze"), ("baseline", "--accept")):
        ran = evals(*command, "--root", root)
        assert ran.exit_code == 1 and f"{frozen}: case.yaml was changed" in ran.output, command


def test_the_gate_wants_a_baseline(root: Path) -> None:
    ran = evals("gate", "--root", root)
    assert ran.exit_code == 2 and "there is no baseline" in ran.output.replace("\n", " ")


def test_a_baseline_is_shown_and_only_written_where_it_is_accepted(root: Path) -> None:
    accepted(root)
    path = root.parent / "baseline.json"
    before = path.read_text()
    id = train_case(root)
    change(root, id, accepted_causes=("oom_killed",))
    shown = evals("baseline", "--root", root)
    assert shown.exit_code == 0 and f"{id}: passed 0.9995 → failed" in shown.output and "not written" in shown.output
    assert path.read_text() == before
    assert evals("baseline", "--accept", "--root", root).exit_code == 0
    assert path.read_text() != before
    assert evals("gate", "--root", root).exit_code == 0
    assert "nothing changes" in evals("baseline", "--root", root).output


# -- split -----------------------------------------------------------------------------------------------------


def test_a_split_is_frozen_once(root: Path) -> None:
    first = evals("split", "--freeze", "--root", root)
    assert "frozen in" in first.output and "test split: 2 of 6 cases, of 1 mechanisms" in first.output
    again = evals("split", "--freeze", "--root", root)
    assert again.exit_code == 0 and "frozen in" not in again.output


def test_where_there_is_no_history_commits_are_not_checked_and_it_is_said(tmp_path: Path) -> None:
    ran = evals("split", "--commits", "HEAD")
    assert ran.exit_code == 0 and "commits not checked: git" in ran.output


def test_the_commands_are_part_of_selfheal() -> None:
    point = EntryPoint("evals", "evals.commands:app", "selfheal.commands")
    helped = CliRunner().invoke(make_app([point]), ["evals", "--help"])
    assert helped.exit_code == 0
    for command in ("run", "gate", "baseline", "split"):
        assert command in helped.output
