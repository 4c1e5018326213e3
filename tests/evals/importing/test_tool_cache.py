"""Shape `tool-cache`: what another agent's tools answered, by call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evals.case import InvalidCase
from evals.importing.tool_calls import read_calls
from evals.replay import Recording
from tests.evals.importing import examples
from tests.evals.importing.running import diagnosed, imported, only_case


async def test_a_unit_that_failed_for_want_of_space_is_diagnosed_from_cached_calls(tmp_path: Path) -> None:
    examples.tool_cache_folder(tmp_path / "in" / "case-a")
    case = only_case(tmp_path / "in", tmp_path / "out")
    run = await diagnosed(case)
    assert run.diagnosis is not None
    assert (run.diagnosis.suspected_cause, run.diagnosis.target) == ("no_space_left", "web")


def test_cached_calls_answer_our_own_inquiries(tmp_path: Path) -> None:
    recording = Recording(only_case(examples.tool_cache_folder(tmp_path / "a"), tmp_path / "out"))
    log = recording.answered("logs", {"unit": "web"})
    assert "No space left on device" in log.text and log.facts['journal.no_space{unit="web"}'] is True
    shape = recording.answered("prometheus_range", {"query": "node_systemd_unit_state"})
    assert "constant 1" in shape.text
    assert recording.missed == []


def test_other_calls_are_evidence_of_their_own(tmp_path: Path) -> None:
    case = only_case(examples.tool_cache_folder(tmp_path / "a"), tmp_path / "out")
    assert next(call.text for call in case.calls if call.tool == "imported.describe_neighbours").startswith("host-e")


def test_a_question_stands_in_for_an_alert_and_the_calls_say_where(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    call = {"tool": "get_metric", "args": {"DBInstanceIdentifier": "orders", "engine": "postgres"}, "result": "none"}
    examples.write_json(folder / "tool_cache.json", [call])
    (folder / "question.txt").write_text("Why is the database slow to answer?")
    case = only_case(folder, tmp_path / "out")
    assert (case.file.kind, case.alerts.alerts[0].name) == ("Database", "AskedByPeople")
    assert "slow to answer" in case.alerts.alerts[0].annotations["summary"]


def test_a_folder_with_neither_alert_nor_question_is_told(tmp_path: Path) -> None:
    examples.write_json(tmp_path / "a" / "tool_cache.json", {"f({})": "x"})
    [problem] = imported(tmp_path / "a", tmp_path / "out").broken
    assert "neither alert.json nor question.txt; add one" in problem


@pytest.mark.parametrize(
    "told",
    [
        {'get({"a": 1})': "x"},
        {"get(a=1)": "x"},
        {'get:{"a": 1}': "x"},
        {'{"tool": "get", "args": {"a": 1}}': "x"},
        {"get": {'{"a": 1}': "x"}},
        {"get": [{"args": {"a": 1}, "result": "x"}]},
        {"k1": {"tool": "get", "args": {"a": 1}, "result": "x"}},
        [{"tool_name": "get", "arguments": '{"a": 1}', "output": "x"}],
        [{"function": {"name": "get", "arguments": '{"a": 1}'}, "content": "x"}],
        {"calls": [{"name": "get", "input": {"a": 1}, "response": "x"}]},
    ],
)
def test_calls_are_read_in_whatever_form_they_were_kept(told: Any) -> None:
    [call] = read_calls(told, "tool_cache.json")
    assert (call.tool, dict(call.args), call.answer) == ("get", {"a": 1}, "x")


def test_arguments_are_read_and_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    [call] = read_calls({f"get(a=open({str(mark)!r}, 'w'))": "x"}, "tool_cache.json")
    assert not mark.exists() and call.tool == "get"


def test_an_entry_without_an_answer_names_its_place_and_what_is_wanted() -> None:
    with pytest.raises(InvalidCase, match=r"tool_cache.json: 1: result: missing; give"):
        read_calls([{"tool": "a", "result": 1}, {"tool": "b"}], "tool_cache.json")
