"""The house keeps its shape: names are ours, layers hold, every node and action has its own file."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from graph.build import WALK

ROOT = Path(__file__).resolve().parent.parent
OURS = ("graph", "agents", "tools", "server", "evals")


@pytest.mark.parametrize("name", OURS)
def test_each_of_our_names_resolves_inside_this_repository(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    assert Path(spec.origin).resolve().is_relative_to(ROOT)


@pytest.mark.parametrize("name", OURS)
def test_none_of_our_names_belongs_to_another_distribution(name: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(name, []))
    assert owners <= {"selfheal"}


def test_the_import_contracts_hold() -> None:
    command = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_rules_do_no_io_and_own_no_clock() -> None:
    forbidden = re.compile(
        r"^\s*(import|from) (asyncio|time|os|socket|subprocess|pathlib|httpx)\b|\.now\(|utcnow", re.M
    )
    for path in (ROOT / "graph" / "rules").glob("*.py"):
        assert not forbidden.search(path.read_text()), f"{path.name} reaches outside"


def test_every_node_is_a_verb_in_a_file_of_its_name() -> None:
    for node, *_ in WALK:
        assert (ROOT / "graph" / "nodes" / f"{node.__name__}.py").exists()


def test_the_map_of_the_flow_fits_a_page() -> None:
    assert len((ROOT / "graph" / "build.py").read_text().splitlines()) <= 100


def test_no_file_names_a_path_of_the_machine_it_was_written_on_or_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=30)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: there is no list of committed files to look through")
    forbidden = re.compile("|".join(["/wo" + "rk/", "/tmp/pr" + "ep", "pypi" + r"\.org", r"(?<![\w}])/ro" + "ot/"]))
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png", ".svg"):
            found = forbidden.search(path.read_text(errors="replace"))
            assert not found, f"{name} names {found.group() if found else ''}"


def test_the_constraints_pin_versions_and_name_no_address() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert not line or line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line
