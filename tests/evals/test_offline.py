"""Evals send nothing by themselves, whatever LangSmith's variables ask for: tried in processes of their own, with every
way to a network watched and, where the kernel lets us, with no network at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evals.results import Evaluation
from tests.evals.made_cases import store
from tests.server.ingest import ingesting

ROOT = Path(__file__).resolve().parents[2]
WATCHED = """
import os, socket, sys

def refuse(*asked, **more):
    with open(os.environ["ATTEMPTS"], "a") as told:
        told.write(repr(asked) + "\\n")
    raise OSError("the network is cut off")

def connect(self, address):
    refuse(address)

socket.socket.connect = socket.socket.connect_ex = connect
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse
from evals.commands import app
app(sys.argv[1:], standalone_mode=True)
"""
COMMANDS = {
    "run": ("run", "--out", "evals.json", "--root", "cases"),
    "langsmith run --local": ("langsmith", "run", "--local", "--out", "evals.json", "--root", "cases"),
}


def environment(tmp_path: Path, asked_for: bool, endpoint: str) -> dict[str, str]:
    """Without LangSmith's variables, or with all of them asking for everything."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LANGSMITH_", "LANGCHAIN_"))}
    clean |= {"PYTHONPATH": str(ROOT), "ATTEMPTS": str(tmp_path / "attempts"), "COLUMNS": "120"}
    if not asked_for:
        return clean
    switches = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2")
    asked = dict.fromkeys(switches, "true") | {"LANGSMITH_API_KEY": "ls-key", "LANGSMITH_ENDPOINT": endpoint}
    return clean | asked | {"LANGSMITH_PROJECT": "evals", "LANGSMITH_TEST_TRACKING": "true"}


def measured(tmp_path: Path) -> list[bool]:
    """Whether each case passed, as the results say."""
    results = Evaluation.model_validate_json((tmp_path / "evals.json").read_bytes()).results
    return [case.passed for case in results.cases]


@pytest.mark.parametrize("asked_for", [False, True], ids=["unset", "set"])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_no_connection_is_tried(tmp_path: Path, command: tuple[str, ...], asked_for: bool) -> None:
    store(tmp_path / "cases", copies=6)  # enough for processes of their own
    with ingesting() as ingest:
        env = environment(tmp_path, asked_for, ingest.url)
        watched = [sys.executable, "-c", WATCHED, *command]
        done = subprocess.run(watched, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
        assert ingest.paths == []
    assert done.returncode == 0, done.stdout + done.stderr
    assert measured(tmp_path) == [True] * 18
    assert not (tmp_path / "attempts").exists(), (tmp_path / "attempts").read_text()


def test_the_watch_would_have_seen_it(tmp_path: Path) -> None:
    store(tmp_path / "cases")
    env = environment(tmp_path, True, "http://127.0.0.1:9")
    command = [sys.executable, "-c", WATCHED, "langsmith", "upload", "--root", "cases"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "127.0.0.1" in (tmp_path / "attempts").read_text()


def test_it_measures_the_same_where_there_is_no_network_at_all(tmp_path: Path) -> None:
    alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs a network namespace of its own, which this kernel or user may not make")
    store(tmp_path / "cases")
    env = environment(tmp_path, True, "http://192.0.2.1")
    for command in COMMANDS.values():
        run = [*alone, sys.executable, "-c", "from evals.commands import app; app()", *command]
        done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        assert measured(tmp_path) == [True] * 3
