"""The shipped rules fire when they should, carry what places an alert, and are handed out by `selfheal rules`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from graph.records import Alert, IssueType
from graph.rules.classify import issue_type_of
from server import exits
from server.alerting import FOLDER, OWN_RULES, alerting_files, rule_files
from server.cli import run
from server.commands.rules import shipped

ALL_RULES = (*rule_files(), OWN_RULES)
TESTS = sorted((Path(__file__).parent / "alerting").glob("*.test.yml"))


def promtool(*arguments: str, cwd: Path, given: str = "") -> None:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is missing: it comes with Debian's package prometheus")
    done = subprocess.run([found, *arguments], cwd=cwd, input=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_every_rule_file() -> None:
    promtool("check", "rules", *(path.name for path in ALL_RULES), cwd=FOLDER)


@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.name)
def test_the_rules_fire_when_they_should(test: Path, tmp_path: Path) -> None:
    for path in (*ALL_RULES, test):
        shutil.copy(path, tmp_path)
    promtool("test", "rules", test.name, cwd=tmp_path)


def test_every_issue_type_has_a_rule() -> None:
    assert {rule["issue_type"] for rule in shipped()} == set(get_args(IssueType)) - {"unknown"}


def test_every_rule_is_tried_by_promtool() -> None:
    tried = "".join(path.read_text() for path in TESTS)
    for rule in shipped(ALL_RULES):
        assert f"alertname: {rule['alert']}\n" in tried, rule["alert"]


@pytest.mark.parametrize("rule", shipped(), ids=lambda rule: rule["alert"])
def test_a_rules_issue_type_is_the_one_its_alert_is_taken_for(rule: dict[str, str]) -> None:
    labels = {"alertname": rule["alert"], "issue_type": rule["issue_type"]}
    assert issue_type_of(Alert(status="firing", labels=labels)) == rule["issue_type"]


def test_the_files_are_copied_and_what_differs_there_is_not_overwritten_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "rules"
    assert run(["rules", "--out", str(to)]) == exits.OK
    assert {path.name for path in to.iterdir()} == {path.name for path in alerting_files()}
    assert run(["rules", "--out", str(to)]) == exits.OK
    (to / "hosts.rules.yml").write_text("groups: []\n")
    assert run(["rules", "--out", str(to)]) == exits.USAGE
    assert "hosts.rules.yml" in capsys.readouterr().err
    assert run(["rules", "--out", str(to), "--force"]) == exits.OK
    assert (to / "hosts.rules.yml").read_text() == (FOLDER / "hosts.rules.yml").read_text()


def test_the_rules_are_listed_for_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules"]) == exits.OK
    told = capsys.readouterr().out
    assert "InstanceDown" in told and "SelfHealDown" in told
    assert run(["rules", "--json"]) == exits.OK
    assert {rule["alert"] for rule in json.loads(capsys.readouterr().out)} >= {"DiskFull", "PostgresReplicationLag"}
