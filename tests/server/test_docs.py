"""REPAIRS.md says what is declared, and what is declared hangs together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents import known_kinds
from agents.causes import service
from agents.database import ACTIONS, permitted
from graph.kind import Remedy, ResourceKind
from server.docs import FILE, catalogue, main, repairs
from tools.actions import CATALOG
from tools.actions.action import Action

KINDS = known_kinds()
SPECS = catalogue()
REMEDIES = [
    pytest.param(kind, remedy, id=f"{kind.name}-{cause.name}-{remedy.name}")
    for kind in KINDS.values()
    for cause in kind.causes
    for remedy in cause.remedies
]


def test_the_page_of_repairs_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == repairs(KINDS.values(), SPECS), "run: python -m server.docs"


def test_the_check_finds_the_page_current() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server.docs", "--check"], cwd=FILE.parent, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_missing_or_stale_page_is_found_and_writing_mends_it(tmp_path: Path) -> None:
    page = tmp_path / "REPAIRS.md"
    assert main(["--check"], page) == 1
    page.write_text("old")
    assert main(["--check"], page) == 1
    assert main([], page) == 0
    assert main(["--check"], page) == 0


def test_a_misspelt_option_writes_nothing(tmp_path: Path) -> None:
    page = tmp_path / "REPAIRS.md"
    assert main(["--chekc"], page) == 2
    assert not page.exists()


@pytest.mark.parametrize(("kind", "remedy"), REMEDIES)
def test_a_remedy_names_its_actions_which_exist_and_which_its_kind_permits(kind: ResourceKind, remedy: Remedy) -> None:
    assert remedy.actions
    assert set(remedy.actions) <= set(kind.actions)
    assert set(remedy.actions) <= set(SPECS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_action_a_kind_permits_is_in_the_catalogue(kind: ResourceKind) -> None:
    assert set(kind.actions) <= set(SPECS)


@pytest.mark.parametrize("action", CATALOG, ids=SPECS)
def test_an_action_that_can_be_undone_says_by_what(action: type[Action[Any]]) -> None:
    assert bool(action.spec.undone_by) == (action.undo is not Action.undo)


def test_a_database_keeps_only_the_remedies_it_permits() -> None:
    [stopped] = [cause for cause in service.CAUSES if cause.name == "host_stopped"]
    assert permitted(stopped, ACTIONS).remedies == (service.START_INSTANCE,)
    assert permitted(stopped, (*ACTIONS, "fail_over")).remedies == stopped.remedies


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_cause_has_its_row(kind: ResourceKind) -> None:
    page = repairs([kind], SPECS)
    assert [cause.name for cause in kind.causes if page.count(f"| `{cause.name}`: ") != 1] == []
