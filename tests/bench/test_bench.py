"""The benchmark runs: what it writes has every figure with its goal, and what it was measured on and with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from evals.bench.figures import Measured, as_json, unmeasured
from evals.bench.goals import GOALS
from evals.bench.groups import GROUPS
from evals.bench.healed import Line, _covered


def test_every_figure_of_the_goals_is_measured_by_one_group() -> None:
    measured = [name for group in GROUPS for name in group.figures]
    assert sorted(measured) == sorted(goal.name for goal in GOALS)


def test_a_figure_that_could_not_be_measured_is_no_pass() -> None:
    told = as_json(
        {"heals_per_s_1": unmeasured("no room"), "kill9_lost": Measured(0, (0,)), "lookup_p99_ms": Measured(2)}
    )
    verdicts = {name: item["verdict"] for name, item in told.items()}
    assert verdicts == {"heals_per_s_1": "not measured", "kill9_lost": "pass", "lookup_p99_ms": "falls short"}
    assert told["heals_per_s_1"]["note"] == "no room"


def test_tools_side_by_side_take_no_longer_than_the_longest_of_them() -> None:
    spans = [Line("a", "1", 0.0, 2.0), Line("b", "1", 1.0, 3.0), Line("c", "1", 1.5, 2.5), Line("d", "1", 5.0, 6.0)]
    assert _covered(spans) == 4.0


def test_a_quick_run_of_one_group_writes_its_figures_with_what_they_were_measured_on(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "evals.bench", "run", "--quick", "--only", "overhead", "--out", str(out)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    told = json.loads(out.read_text())
    assert set(told["figures"]) == {"overhead_ms_p50", "overhead_ms_p99"}
    for figure in told["figures"].values():
        assert figure["value"] > 0 and figure["goal"].startswith("≤") and figure["number_of_runs"] == 1
        assert figure["verdict"] in ("pass", "falls short")
    where = told["figures"]["overhead_ms_p50"]["detail"]["ms_by_part"]
    assert {"node execute", "taking the leg", "writing the end"} <= set(where)
    assert told["machine"]["cpus"] and told["versions"]["langgraph"] and told["quick"]
    assert told["settings"]["shipped_defaults"]["healing"]["soak_seconds"] == 30
    assert "soak_seconds" in told["settings"]["not_default"]["overhead"]
