"""The nightly workflow that users copy: it is valid, and calls only what there is."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from evals.commands import app

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / "docs/examples/nightly-evals.yml").read_text())
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["measure"]["steps"]


def commands() -> list[list[str]]:
    """Every call of `selfheal`, in words, without what the shell fills in."""
    lines = [line for step in STEPS for line in step.get("run", "").replace("\\\n", " ").splitlines()]
    calls = [
        shlex.split(line.replace('${EVALS_BASE_URL:+--base-url "$EVALS_BASE_URL"}', "--base-url url")) for line in lines
    ]
    return [words for words in calls if words and words[0].endswith("bin/selfheal")]


def test_it_runs_every_night_and_may_be_started_by_hand_and_reads_only() -> None:
    began = WORKFLOW[True]  # YAML 1.1 takes `on` for a truth
    assert [entry["cron"].count(" ") for entry in began["schedule"]] == [4]
    assert "workflow_dispatch" in began
    assert WORKFLOW["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[1:3]))
def test_each_command_exists_with_the_options_it_is_given(words: list[str]) -> None:
    evals, name = words[1:3]
    assert evals == "evals"
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    group.commands[name].make_context(name, words[3:])


def test_the_report_is_kept_and_shown_in_the_summary_of_the_job() -> None:
    assert [words[2] for words in commands()] == ["run", "report"]
    [report] = [words for words in commands() if words[2] == "report"]
    written = {report[report.index("--out") + 1], report[report.index("--markdown") + 1]}
    [kept] = [
        step["with"]["path"].split() for step in STEPS if step.get("uses", "").startswith("actions/upload-artifact")
    ]
    assert written <= set(kept)
    assert any('cat report.md >> "$GITHUB_STEP_SUMMARY"' in step.get("run", "") for step in STEPS)


def test_secrets_are_given_by_the_environment_and_by_nothing_else() -> None:
    for step in STEPS:
        assert "secrets." not in step.get("run", "")
    assert (ROOT / "scripts/setup").exists()
    assert "scripts/setup python" in [step.get("run") for step in STEPS]
