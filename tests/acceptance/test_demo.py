"""The demo as people run it, in both settings; and that Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evals.lab.healer import ROOT
from tests.acceptance.stages import needs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]


def demo(setting: str, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """`selfheal demo`, with its temporary files in a folder of the test's."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "server.cli", "demo", "--setting", setting],
            stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment, cwd=folder, start_new_session=True,
        )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "d"
    made.mkdir()
    return made


def left_of(folder: Path) -> list[str]:
    """Processes whose command names something in the folder."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, timeout=10)
    return [line for line in listed.stdout.splitlines() if str(folder) in line and " ps " not in line]


@pytest.mark.parametrize("setting", ["local", pytest.param("lab", marks=pytest.mark.lab)])
def test_the_demo_heals_shows_and_cleans_up(setting: str, folder: Path, tmp_path: Path) -> None:
    needs(setting)
    log = tmp_path / "demo.log"
    running = demo(setting, folder, log)
    code = running.wait(240)
    told = log.read_text()
    assert code == 0, told
    assert "mitigated" in told and "process_crashed" in told and "it answers: yes" in told
    assert setting != "lab" or "ec2.RebootInstances" in told
    assert left_of(folder) == [] and list(folder.iterdir()) == []


def test_ctrl_c_in_the_middle_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    needs("local")
    log = tmp_path / "demo.log"
    running = demo("local", folder, log)
    deadline = time.monotonic() + 60
    while "waiting for Prometheus" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    running.wait(60)
    assert running.returncode != 0
    assert left_of(folder) == [] and list(folder.iterdir()) == []
