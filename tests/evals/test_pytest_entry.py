"""`pytest evals`: a test a case, with the scorers' reasons; what the baseline knows to fail is expected to."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from evals.gate import Baseline, BaselineCase, write_baseline
from tests.evals.made_cases import crashed, healthy

ROOT = Path(__file__).resolve().parents[2]


def collected(tmp_path: Path, root: Path) -> str:
    """What pytest says of the cases under `root`."""
    test = tmp_path / "test_of_these.py"
    test.write_text(
        "import pytest\nfrom pathlib import Path\nfrom evals.test_cases import judge, parameters\n"
        f"@pytest.mark.parametrize('case', parameters(Path({str(root)!r})))\n"
        "def test_it(case):\n    judge(case)\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-ra",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
        str(test),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


def test_a_case_that_fails_says_why_and_a_known_weakness_is_expected(tmp_path: Path) -> None:
    root = tmp_path / "cases"
    crashed(root, "case-001")
    healthy(root, "case-002", ending="escalate", accepted_causes=("unknown",), traits=())
    crashed(root, "case-003", accepted_causes=("oom_killed",), forbidden_actions=())
    known = {
        "case-001": BaselineCase(passed=True, score=1.0),
        "case-002": BaselineCase(passed=False, score=0.2),
        "case-003": BaselineCase(passed=True, score=1.0),
    }
    write_baseline(Baseline(reasoner="runbook", total=0.7, cases=known), tmp_path / "baseline.json")
    said = collected(tmp_path, root)
    assert "1 failed, 1 passed, 1 xfailed" in said
    assert "XFAIL" in said and "known weakness, in the baseline" in said
    assert "case-003 (train) scored" in said and "cause: " in said


def test_the_gate_of_every_commit_does_not_run_them_twice() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert options["testpaths"] == ["tests"]
