"""What the README tells people to type and to write down is true: snippets load, commands exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from agents import known_kinds
from evals.lab.monitoring import find_binary, has_binary
from server import exits
from server.cli import run
from server.notify_targets import make_directory
from server.policies import parse_policies
from server.runbooks.shelf import Shelf
from server.settings import load

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README, re.S)


def snippet(name: str) -> str:
    [found] = [block for block in blocks("yaml") if block.startswith(f"# {name}")]
    return found


COMMANDS = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make ")])
def test_every_make_target_named_exists(command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("selfheal ")])
def test_every_selfheal_command_named_is_understood(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)[1:]]
    assert run([*words, "--help"]) == exits.OK, capsys.readouterr().err


def test_every_other_command_is_one_a_test_runs() -> None:
    others = [line for line in COMMANDS if not line.startswith(("make ", "selfheal "))]
    assert others == ["SELFHEAL_CONFIG=selfheal.yaml langgraph dev --no-browser"]  # tests/acceptance/test_studio.py


def test_the_configuration_shown_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "selfheal.yaml"
    file.write_text(snippet("selfheal.yaml"))
    settings = load(file)
    assert settings.resources[0].services == ("nginx",)


def test_the_database_shown_loads_with_its_peer(tmp_path: Path) -> None:
    file = tmp_path / "selfheal.yaml"
    file.write_text(snippet("database.yaml"))
    replica, primary = load(file).resources
    assert replica.peer_keys == (primary.key,) and primary.database is not None


def test_the_alertmanager_shown_loads(tmp_path: Path) -> None:
    file = tmp_path / "selfheal.yaml"
    file.write_text(snippet("alertmanager.yaml"))
    chosen = load(file).alertmanager
    assert chosen is not None and chosen.silence


def test_the_people_shown_are_told(tmp_path: Path) -> None:
    file = tmp_path / "selfheal.yaml"
    file.write_text(snippet("notify.yaml"))
    (tmp_path / "oncall.url").write_text("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops")
    assert set(make_directory(load(file).notify).notifiers) == {"oncall", "lead"}


def test_the_runbook_shown_is_one_that_can_be_read(tmp_path: Path) -> None:
    [text] = blocks("markdown")
    (tmp_path / "nginx.md").write_text(text)
    contents = Shelf(tmp_path, known_kinds()).read()
    assert contents.problems == () and contents.runbooks[0].title == "nginx of the shop"


def test_the_people_shown_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "selfheal.yaml"
    file.write_text(snippet("access.yaml"))
    access = load(file).access
    assert access.users[0].role == "approver" and access.oidc is not None
    assert access.oidc.role_for(["sre", "sre-leads"]) == "admin" and access.oidc.role_for(["other"]) is None


def test_the_policy_shown_is_understood() -> None:
    [policies] = blocks("json")
    [policy] = parse_policies(yaml.safe_load(policies), known_kinds())
    assert policy.auto_heal


@pytest.mark.skipif(not has_binary("promtool"), reason="promtool is missing: sudo apt-get install -y prometheus")
def test_the_rule_shown_is_one_prometheus_takes(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(snippet("rules.yml"))
    done = subprocess.run([find_binary("promtool"), "check", "rules", file], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    not has_binary("amtool"), reason="amtool is missing: sudo apt-get install -y prometheus-alertmanager"
)
def test_the_receiver_shown_is_one_alertmanager_takes(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(snippet("alertmanager.yml"))
    done = subprocess.run([find_binary("amtool"), "check-config", file], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_heal_is_one_that_was_printed() -> None:
    [text] = [
        block for block in blocks("text") if "gather_context" in block and "mitigated" in block and "+0.00s" in block
    ]
    for node in ("gather_context", "diagnose", "plan", "gate", "execute", "verify", "close"):
        assert node in text
