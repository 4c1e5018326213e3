"""A case's folder: what is written is read again, and what is wrong is named by file and field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from evals.case import Expected, InvalidCase, load_case, load_cases, write_case
from tests.evals.a_case import CRASHED, EXPECTED, NOTHING, made


def written(folder: Path) -> Path:
    case = made(folder, CRASHED, NOTHING)
    write_case(case)
    return case.folder


def test_what_is_written_is_read_again_and_written_the_same(tmp_path: Path) -> None:
    case = made(tmp_path, CRASHED, NOTHING.model_copy(update={"round": 2, "params": {"b": 1, "a": None}}))
    write_case(case)
    before = {path.name: path.read_text() for path in case.folder.rglob("*") if path.is_file()}
    again = load_case(case.folder)
    assert again == case
    write_case(again)
    assert {path.name: path.read_text() for path in case.folder.rglob("*") if path.is_file()} == before
    assert set(before) == {"case.yaml", "alert.json", "context.json", "calls.jsonl", "expected.yaml"}


@pytest.mark.parametrize(
    "name", ["case.yaml", "alert.json", "recorded/context.json", "recorded/calls.jsonl", "expected.yaml"]
)
def test_a_file_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path)
    (folder / name).unlink()
    with pytest.raises(InvalidCase, match=rf"{name}: .*a case has this file"):
        load_case(folder)


@pytest.mark.parametrize("name", ["case.yaml", "recorded/context.json", "expected.yaml"])
def test_an_unknown_field_is_refused_with_its_file(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path)
    value = yaml.safe_load((folder / name).read_text())
    (folder / name).write_text(json.dumps(value | {"extra_field": 1}, default=str))
    with pytest.raises(InvalidCase, match=rf"{name}: extra_field: "):
        load_case(folder)


def test_a_call_that_is_wrong_is_named_by_its_line(tmp_path: Path) -> None:
    folder = written(tmp_path)
    calls = folder / "recorded/calls.jsonl"
    good = calls.read_text()
    calls.write_text(good + '{"tool": "units", "at_seconds": 1, "status": "sulks"}\n')
    with pytest.raises(InvalidCase, match=r"calls\.jsonl:3: status: "):
        load_case(folder)
    calls.write_text(good + "{")
    with pytest.raises(InvalidCase, match=r"calls\.jsonl:3: no valid JSON"):
        load_case(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ending": "no_fault"}, "go together"),
        ({"accepted_causes": ["no_fault"]}, "go together"),
        ({"first_actions": []}, "at least one acceptable first action"),
        ({"ending": "escalate"}, "nothing is to be done"),
        ({"accepted_causes": ["process_crashed", "unknown"]}, "can be repaired for an `unknown`"),
        ({"required_facts": ["Not A Key"]}, "not a fact key"),
        ({"mechanism": "Not Neutral"}, "mechanism"),
    ],
)
def test_what_is_expected_is_of_a_piece(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Expected.model_validate(EXPECTED.model_dump() | change)


def test_cases_are_found_by_their_folders_name_and_an_id_is_given_once(tmp_path: Path) -> None:
    folder = written(tmp_path)
    assert [case.id for case in load_cases(tmp_path)] == ["case-1"]
    assert load_cases(tmp_path, ("other-*",)) == ()
    folder.rename(tmp_path / "case-2")
    write_case(made(tmp_path))
    with pytest.raises(InvalidCase, match="an id is given once"):
        load_cases(tmp_path)
