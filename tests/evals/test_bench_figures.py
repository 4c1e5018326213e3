"""The benchmark's own arithmetic: verdicts, medians, and what is left of a heal beside its tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.bench.bodies import alert, body
from evals.bench.figures import Measured, as_json, middle, unmeasured, verdict
from evals.bench.goals import GOALS
from evals.bench.groups import GROUPS
from evals.bench.healed import overheads
from evals.bench.machine import shipped_defaults
from evals.bench.wrk import SCRIPT
from server.alert_bodies import read_group

BY_NAME = {goal.name: goal for goal in GOALS}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("accept_ratio_c16", 0.6, "pass"),
        ("accept_ratio_c16", 0.59, "falls short"),
        ("storm_seconds", 8.0, "pass"),
        ("storm_total", 9_999, "falls short"),
        ("kill9_lost", 0, "pass"),
    ],
)
def test_a_figure_is_judged_by_its_goal(name: str, value: float, said: str) -> None:
    assert verdict(BY_NAME[name], Measured(value)) == said


def test_what_could_not_be_measured_says_why_and_is_not_passed() -> None:
    told = as_json({"scale_2": unmeasured("no PostgreSQL here"), "storm_seconds": middle([3, 1, 2])})
    assert told["scale_2"]["verdict"] == "not measured" and told["scale_2"]["note"] == "no PostgreSQL here"
    assert (told["storm_seconds"]["value"], told["storm_seconds"]["number_of_runs"]) == (2, 3)


def test_every_goal_is_measured_by_one_group() -> None:
    measured = [name for group in GROUPS for name in group.figures]
    assert sorted(measured) == sorted(BY_NAME)


def test_overhead_is_what_tools_running_side_by_side_leave_of_a_heal(tmp_path: Path) -> None:
    spans = [
        ("selfheal.evidence a", "i", 1.0, 3.0),
        ("selfheal.evidence b", "i", 2.0, 4.0),
        ("selfheal.node plan", "i", 4.0, 4.5),
        ("selfheal.action c", "i", 5.0, 6.0),
        ("selfheal.heal Bench", "i", 0.0, 7.0),
    ]
    (tmp_path / "spans.jsonl").write_text("".join(json.dumps(one) + "\n" for one in spans))
    assert overheads(tmp_path) == [3000.0]


def test_its_alerts_are_alertmanagers_and_the_defaults_are_the_shipped_ones() -> None:
    assert not read_group(json.loads(body([alert("a", "inst-1")]))).bad
    assert '"resource_id":"%s"' in SCRIPT
    assert shipped_defaults()["limits"]["max_queued"] == 10_000
