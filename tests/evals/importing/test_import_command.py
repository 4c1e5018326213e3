"""`selfheal evals import`: what it says, what it writes, and what it expects of each case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from evals.case import InvalidCase, load_cases
from evals.commands.import_ import import_
from evals.importing import foreign
from evals.importing.importer import shape_of
from tests.evals.importing import examples
from tests.evals.importing.running import imported

app = typer.Typer()
app.command("import")(import_)


def run(*args: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(arg) for arg in args])
    return done.exit_code, done.stdout, done.stderr


def test_it_finds_the_shape_writes_the_cases_and_says_what_became_of_each(tmp_path: Path) -> None:
    nowhere = examples.series_case(examples.body("KubePodCrashLooping", pod="p"), {})
    path = examples.write_json(tmp_path / "cases.json", [examples.FULL_DISK, examples.MYSQL_BEHIND, nowhere])
    code, said, _ = run("auto", path, "--out", tmp_path / "out")
    assert code == 0
    assert "2 of 3 cases of shape series written" in said
    assert "by kind: Database 1, Instance 1; by issue type: disk_full 1, replication_lag 1" in said
    assert "not placed: cases.json#2" in said and "pod='p'" in said
    assert "12 facts found a home" in said and "tagged `unscored`" in said
    assert len(load_cases(tmp_path / "out")) == 2


def test_json_gives_each_case_with_its_foreign_name(tmp_path: Path) -> None:
    examples.tool_cache_folder(tmp_path / "in" / "case-a")
    code, said, _ = run("tool-cache", tmp_path / "in", "--out", tmp_path / "out", "--json")
    told = json.loads(said)
    assert code == 0 and told["placed"] == 1
    assert told["cases"][0]["foreign"] == "case-a" and told["cases"][0]["resource"] == "Instance/host-d"


def test_the_answers_file_says_what_is_expected(tmp_path: Path) -> None:
    path = examples.write_json(tmp_path / "cases.json", [examples.FULL_DISK, examples.MYSQL_BEHIND])
    answers = tmp_path / "answers.yaml"
    answers.write_text(
        "Disk_filled-up: data_growth\n"
        "writes burst:\n"
        "  accepted_causes: [applier_slow, primary_overloaded]\n"
        "  ending: escalate\n"
        "  required_facts: [repl.lag_seconds]\n"
    )
    code, said, _ = run("series", path, "--out", tmp_path / "out", "--answers", answers)
    assert code == 0 and "unscored" not in said
    disk, behind = sorted(load_cases(tmp_path / "out"), key=lambda case: case.file.kind, reverse=True)
    assert disk.scored and disk.expected.accepted_causes == ("data_growth",)
    assert disk.expected.mechanism == "imported_disk_filled_up"
    assert behind.expected.required_facts == ("repl.lag_seconds",)
    assert "writes burst" in behind.expected.came_of.reason


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ("disk filled up: gremlins", "disk filled up: accepted_causes: 'gremlins' is no cause; there are"),
        ("disk filled up: {ending: escalate}", "disk filled up: accepted_causes: give the name of one of our causes"),
        ("disk filled up: {accepted_causes: [data_growth], end: x}", "disk filled up: end: no such field; there are"),
        ("disk filled up: {accepted_causes: [data_growth], ending: repair}", "first_actions: a case that ends in"),
        ("[a, b]", "a mapping is wanted"),
    ],
)
def test_a_bad_answers_file_names_the_entry_the_field_and_the_remedy(
    tmp_path: Path, answers: str, problem: str
) -> None:
    path = examples.write_json(tmp_path / "cases.json", [examples.FULL_DISK])
    (tmp_path / "answers.yaml").write_text(answers)
    code, _, said = run("series", path, "--out", tmp_path / "out", "--answers", tmp_path / "answers.yaml")
    assert code == 1 and problem in " ".join(said.split())
    assert not (tmp_path / "out").exists()


def test_a_cause_that_is_not_of_the_cases_kind_is_told_for_that_case(tmp_path: Path) -> None:
    path = examples.write_json(tmp_path / "cases.json", [examples.FULL_DISK])
    (tmp_path / "answers.yaml").write_text("disk filled up: applier_slow\n")
    [problem] = imported(path, tmp_path / "out", tmp_path / "answers.yaml").broken
    assert "none of applier_slow is a cause of Instance" in problem


def test_a_broken_case_is_told_and_ends_in_an_error(tmp_path: Path) -> None:
    path = examples.write_json(tmp_path / "cases.json", [examples.FULL_DISK, {"alerts": []}])
    code, said, wrong = run("series", path, "--out", tmp_path / "out")
    assert code == 1 and "1 of 2 cases" in said
    assert "1: start_time: missing; give seconds since the epoch" in " ".join(wrong.split())


def test_broken_json_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "cases.json").write_text('[\n{"alerts": ]\n')
    code, _, wrong = run("series", tmp_path / "cases.json", "--out", tmp_path / "out")
    assert code == 1 and "line 2: no valid JSON" in " ".join(wrong.split())


def test_a_path_of_no_shape_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(InvalidCase, match=r"of no known shape \(tool-cache, cloud, series\)"):
        shape_of(tmp_path)
    with pytest.raises(InvalidCase, match="'csv' is none; there are tool-cache, cloud, series, or auto"):
        shape_of(tmp_path, "csv")


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    with path.open("wb") as sparse:
        sparse.truncate(foreign.MOST_BYTES + 1)
    with pytest.raises(InvalidCase, match=r"at most \d+ are read: split the file"):
        foreign.read_json(path)


def test_importing_again_gives_the_same_cases(tmp_path: Path) -> None:
    path = examples.write_json(tmp_path / "cases.json", [examples.FULL_DISK, examples.MYSQL_BEHIND])
    imported(path, tmp_path / "out")
    before = {each.relative_to(tmp_path): each.read_text() for each in (tmp_path / "out").rglob("*") if each.is_file()}
    imported(path, tmp_path / "out")
    after = {each.relative_to(tmp_path): each.read_text() for each in (tmp_path / "out").rglob("*") if each.is_file()}
    assert before == after and len(before) == 10
