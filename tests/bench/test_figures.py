"""The benchmark's own arithmetic: verdicts and medians."""

from __future__ import annotations

import json

import pytest

from evals.bench.bodies import alert, body
from evals.bench.figures import Measured, as_json, middle, unmeasured, verdict
from evals.bench.goals import GOALS
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


def test_its_alerts_are_alertmanagers_and_the_defaults_are_the_shipped_ones() -> None:
    assert not read_group(json.loads(body([alert("a", "inst-1")]))).bad
    assert '"resource_id":"%s"' in SCRIPT
    assert shipped_defaults()["limits"]["max_queued"] == 10_000
