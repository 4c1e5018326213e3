"""The same fault in other surroundings: what is rendered of them, and which a process has."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from evals.case import Recorded
from evals.lab.disk import Disk
from evals.lab.neighbours import Neighbour, furnish
from evals.lab.recording import asked_policies, worth_keeping
from evals.lab.rules import alert_rules, prometheus_config
from evals.lab.stage import LabError, StageOptions
from evals.lab.surroundings import ALL, BUSY, PLAIN, VARIABLE, current


def _rules(name: str) -> dict[str, dict[str, object]]:
    rules = alert_rules(ALL[name].alert_for, around=ALL[name])
    return {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}


def test_without_a_word_a_process_has_the_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert current() is PLAIN


def test_unknown_surroundings_are_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "loud")
    with pytest.raises(LabError, match="plain, quiet"):
        current()


def test_plain_surroundings_leave_the_shipped_alerts_as_they_are() -> None:
    rule = _rules("plain")["DiskFull"]
    assert str(rule["expr"]).endswith("> 90")
    assert rule["for"] == "1s"
    assert rule["labels"] == {"severity": "warning", "issue_type": "disk_full"}


def test_busy_surroundings_set_limits_labels_and_annotations_otherwise() -> None:
    rules = _rules("busy")
    assert str(rules["DiskFull"]["expr"]).endswith("> 85")
    assert str(rules["HighCpu"]["expr"]).endswith("> 75")
    assert rules["ServiceDown"]["for"] == BUSY.alert_for
    assert rules["ServiceDown"]["labels"]["owner"] == "retail-platform"  # type: ignore[index]
    assert "dashboard" in rules["ServiceDown"]["annotations"]  # type: ignore[operator]


def test_every_other_limit_is_of_an_alert_that_is_shipped_and_really_changes_it() -> None:
    shipped = _rules("plain")
    for around in ALL.values():
        for alert, limit in around.limits.items():
            changed = around.rule(dict(shipped[alert]))["expr"]
            assert changed.endswith(f" {limit}")
            assert changed != shipped[alert]["expr"]


def test_prometheus_says_its_site_on_every_alert(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = StageOptions(tmp_path, "http://127.0.0.1:1/", tmp_path / "token")
    monkeypatch.setenv(VARIABLE, "busy")
    assert prometheus_config(options, (), "127.0.0.1:2")["global"]["external_labels"] == BUSY.site
    monkeypatch.setenv(VARIABLE, "plain")
    assert "external_labels" not in prometheus_config(options, (), "127.0.0.1:2")["global"]


def test_neighbours_are_written_to_the_disk_and_start_with_the_host(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    for folder in ("etc/systemd/system", "usr/local/lib"):
        (disk.root / folder).mkdir(parents=True)
    furnish(disk, (Neighbour("mill", "Grinds", "echo flour\n"), Neighbour("bell", "Rings", "echo ding\n", every=9)))
    started = disk.root / "etc/systemd/system/multi-user.target.wants"
    assert {path.name for path in started.iterdir()} == {"mill.service", "bell.timer"}
    assert "OnUnitInactiveSec=9" in (disk.root / "etc/systemd/system/bell.timer").read_text()
    assert (disk.root / "usr/local/lib/mill").read_text() == "echo flour\n"


def test_a_recorder_asks_before_anything_is_done() -> None:
    policies = asked_policies([{"issue_type": "disk_full", "auto_heal": True, "max_retries": 3}])
    assert policies == [{"issue_type": "disk_full", "auto_heal": False, "max_retries": 3}]


def test_of_the_answers_beside_a_heal_those_are_kept_that_say_something_of_their_own() -> None:
    by_address = 'up{instance="10.0.0.1:9100"}'
    asked: list[tuple[str, dict[str, object], Literal["observed", "no_data"]]] = [
        ("logs", {"unit": "web", "minutes": 30}, "observed"),
        ("logs", {"unit": "web", "minutes": 360}, "observed"),
        ("prometheus_range", {"query": 'up{resource_id="host-a"}', "minutes": 30}, "no_data"),
        ("prometheus_range", {"query": by_address, "minutes": 30}, "observed"),
        ("prometheus_range", {"query": by_address, "minutes": 60}, "observed"),
        ("prometheus_instant", {"query": by_address}, "no_data"),
        ("host_probe", {"probe": "units"}, "observed"),
    ]
    answers = [
        Recorded(tool=tool, params=params, inquiry=True, at_seconds=1, status=status) for tool, params, status in asked
    ]
    kept = [(each.tool, each.params) for each in worth_keeping(answers)]
    assert kept == [asked[index][:2] for index in (0, 2, 4, 6)]
