"""Policies as the mission writes them, and every way to get one wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.policies import load_policies, parse_policies
from server.settings_errors import ConfigError

KINDS = ("Instance",)
GOOD = {"resource_kind": "Instance", "issue_type": "service_down", "auto_heal": True, "max_retries": 3}


def changed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}


@pytest.mark.parametrize("content", [[GOOD], {"policies": [GOOD]}, GOOD])
def test_the_missions_objects_are_read_as_they_stand(content: Any) -> None:
    (policy,) = parse_policies(content, KINDS)
    assert (policy.issue_type, policy.auto_heal, policy.max_retries) == ("service_down", True, 3)


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "policies.json"
    file.write_text(json.dumps([GOOD]))
    assert len(load_policies(file, KINDS)) == 1


def test_destructive_actions_are_allowed_by_name() -> None:
    (policy,) = parse_policies([changed(allow_destructive=["rebuild"])], KINDS, {"rebuild"})
    assert policy.allow_destructive == ("rebuild",)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            changed(resource_kind="Instanze"),
            "policies[1].resource_kind: unknown kind 'Instanze', did you mean 'Instance'?",
        ),
        (
            changed(issue_type="disk_ful"),
            "policies[1].issue_type: unknown issue type 'disk_ful', did you mean 'disk_full'?",
        ),
        (changed(max_retries=-1), "policies[1].max_retries: must not be negative (given: -1)"),
        (changed(max_retries="3"), "policies[1].max_retries: "),
        (changed(max_retries=True), "policies[1].max_retries: "),
        (changed(max_retries=...), "policies[1].max_retries: missing"),
        (changed(auto_heal="no"), "policies[1].auto_heal: "),
        (changed(auto_heal=1), "policies[1].auto_heal: "),
        (changed(auto_heel=True), "policies[1].auto_heel: unknown key, did you mean 'auto_heal'?"),
        (changed(allow_destructive=["rm"]), "policies[1].allow_destructive[0]: unknown action 'rm'"),
        (changed(resource_kind=7), "policies[1].resource_kind: "),
        ("nonsense", "policies[1]: must be an object"),
        (GOOD, "policies[1] (Instance, service_down) duplicates policies[0]"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(entry: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_policies([GOOD, entry], KINDS, {"restart_service"})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{]", "line 1, column 3: not JSON"),
        ('"x"', "must be a list of policies"),
        ('{"policies": [], "x": 1}', "x: unknown key"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_file_that_is_no_list_of_policies_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "policies.json"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_policies(file, KINDS)
    assert said in str(caught.value)


def test_a_missing_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file: write"):
        load_policies(tmp_path / "none.json", KINDS)
