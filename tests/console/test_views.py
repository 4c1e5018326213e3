"""What pages show, without a browser: text made harmless, forms read back, the story told."""

from __future__ import annotations

from typing import Any

import pytest

from server.console.live import event, marks
from server.console.views import incident as view
from server.console.views.editing import InvalidForm, step_forms, steps_of
from server.console.views.text import line, shown, utc, words
from tests.console.scenes import RestartParams

CHOICES: dict[str, Any] = {
    "plan_fingerprint": "f",
    "steps": [{"action": "restart", "params": {"unit": "web", "kept": [1]}}],
    "actions": [
        {
            "name": "restart",
            "summary": "restart a unit",
            "risk": "disruptive",
            "params": {
                **RestartParams.model_json_schema(),
                "properties": {
                    "unit": {"enum": ["web", "db"]},
                    "patience": {"type": "integer", "default": 5},
                    "force": {"type": "boolean", "default": False},
                    "share": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
                    "paths": {"type": "array"},
                    "why": {"type": "string"},
                },
            },
        }
    ],
    "remedies": [],
}


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("plain text", "plain text"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("safe\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe", "safe[U+202E]gnp.exe"),
        ("zero\N{ZERO WIDTH SPACE}width", "zero[U+200B]width"),
        ("\x1b[31mred\x00", "[U+001B][31mred[U+0000]"),
        ("Grüße, 日本語, \N{SNOWMAN}", "Grüße, 日本語, \N{SNOWMAN}"),
        (None, ""),
    ],
)
def test_what_can_not_be_seen_is_written_out(given: object, seen: str) -> None:
    assert shown(given) == seen


def test_long_text_is_cut_and_lines_are_one() -> None:
    assert shown("x" * 100, 10) == "x" * 9 + "…"
    assert line("a\n  b\tc") == "a b c"
    assert (words("waiting_approval"), utc("2026-01-01T02:03:04+00:00"), utc("?")) == (
        "waiting approval",
        "2026-01-01 02:03:04 UTC",
        "",
    )


def test_a_form_has_an_input_for_each_param_by_its_type() -> None:
    [form] = step_forms(CHOICES)
    assert {field.label: field.control for field in form.fields} == {
        "unit": "select",
        "patience": "number",
        "force": "flag",
        "share": "number",
        "paths": "json",
        "why": "text",
    }
    assert form.fields[0].value == "web" and form.others == '{"kept": [1]}'


def test_a_filled_in_form_is_read_back_with_types_in_the_order_it_gives() -> None:
    first = {"action_0": "restart", "use_0": "1", "order_0": "2", "param_0_unit": "db", "param_0_patience": "7"}
    second = {"action_1": "restart", "use_1": "1", "order_1": "1", "param_1_unit": "web", "param_1_force": "1"}
    third = {"action_2": "restart", "param_2_unit": "web"}
    more = {"param_0_share": "0.5", "param_0_paths": '["/a"]', "others_0": '{"kept": [1]}'}
    assert steps_of(first | second | third | more, CHOICES) == [
        {"action": "restart", "params": {"unit": "web", "force": True}},
        {
            "action": "restart",
            "params": {"kept": [1], "unit": "db", "patience": 7, "force": False, "share": 0.5, "paths": ["/a"]},
        },
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"param_0_patience": "soon"}, "patience: 'soon' is no integer"),
        ({"param_0_paths": "[1"}, "paths"),
        ({"order_0": "first"}, "order of step 1"),
        ({"others_0": "[1]"}, "params of step 1"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidForm, match=said.replace("[", r"\[")):
        steps_of({"action_0": "restart", "use_0": "1", "param_0_unit": "web", **wrong}, CHOICES)


@pytest.mark.parametrize(
    ("phase", "outcome", "wanted"),
    [
        ("running", None, ["cancel", "take-over"]),
        ("waiting_approval", None, ["cancel", "take-over"]),
        ("escalated", {"status": "escalated"}, ["acknowledge", "retry", "close", "take-over", "confirm"]),
        ("taken_over", {"status": "escalated"}, ["retry", "close", "take-over", "confirm"]),
        ("closed", {"status": "mitigated"}, ["confirm"]),
    ],
)
def test_the_verbs_offered_are_those_that_make_sense(phase: str, outcome: Any, wanted: list[str]) -> None:
    assert view.verbs({"phase": phase, "outcome": outcome}) == wanted


def test_only_parts_that_changed_have_another_mark() -> None:
    before, after = marks({"a": "1", "b": "2"}), marks({"a": "1", "b": "3"})
    assert before[0] == after[0] and before[1] != after[1]
    assert event("a", "x\ny", "m") == b"event: a\nid: m\ndata: x\ndata: y\n\n"


def test_the_end_is_told_once_and_what_came_before_a_takeover_is_not_forgotten() -> None:
    outcome = {"status": "mitigated", "reason": "all pass", "times": {}}
    healed = {"outcome": outcome, "verification": {"status": "healthy", "reason": "all pass"}}
    assert view.headline(healed)["now"] == ""
    assert view.headline({"outcome": outcome})["now"] == "mitigated: all pass"
    taken = {"by": "bob", "until": "2026-01-01T02:30:00+00:00", "comment": "mine"}
    now = view.headline({"outcome": {**outcome, "status": "escalated"}, "taken_over": taken})["now"]
    assert now == "bob has it until 02:30 UTC; nothing of ours acts on it: mine (before that: escalated: all pass)"
