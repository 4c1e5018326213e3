"""The local setting needs no privileges: it comes up, breaks and mends as a user who has none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import supervisor

from evals.lab.local import local_missing
from evals.lab.packages import install_command

NOBODY = "65534"
ROOT = Path(__file__).parents[2]
PACKAGES = Path(supervisor.__file__).parents[1]

STORY = """
import os, sys
from pathlib import Path
from evals.lab.faults import fault
from evals.lab.local import LocalStage
from evals.lab.packages import install_packages
from evals.lab.stage import LabError, StageOptions
assert os.geteuid() != 0
work = Path(sys.argv[1])
(work / "token").write_text("secret")
stage = LocalStage(StageOptions(work / "stage", "http://127.0.0.1:9/", work / "token", say=print))
stage.up()
try:
    host = stage.hosts[0]
    fault("service_killed").inject(stage, host)
    assert not stage.healthy(host)
    fault("service_killed").restore(stage, host)
    assert stage.healthy(host)
    print("reached by", "ssh" if "ssh" in stage.resources()[0] else "local")
finally:
    stage.down()
assert list((work / "stage").iterdir()) == []
try:
    install_packages(["no-such-package"])
except LabError as error:
    print(error)
"""


def as_nobody(python: str, *arguments: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    """Run this project with `python` as a user without privileges, its files readable through `PYTHONPATH`."""
    return subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", python, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{PACKAGES}", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/", capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def unprivileged_python() -> str | None:
    """A Python of our version that nobody can run with our packages: a private one in root's home can't be."""
    candidates = [sys.executable, shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin")]
    # setpriv's own exec may still reach what its child can't
    works = "import os, sys, evals.lab.local, paramiko, yaml; sys.exit(not os.access(sys.executable, os.X_OK))"
    for python in filter(None, candidates):
        if as_nobody(python, "-c", works).returncode == 0:
            return python
    return None


@pytest.fixture
def python() -> str:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv to become nobody; without root, the other local tests show it")
    if missing := local_missing():
        pytest.skip(f"the local setting needs what is not on PATH: {missing}")
    found = unprivileged_python()
    if found is None:
        pytest.skip("no Python here that nobody can run with this project's packages")
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    # not tmp_path: pytest's own folders are closed to other users
    with tempfile.TemporaryDirectory(prefix="selfheal-nobody-") as name:
        os.chown(name, int(NOBODY), int(NOBODY))
        yield Path(name)


def test_a_user_without_privileges_brings_it_up_breaks_it_and_mends_it(python: str, folder: Path) -> None:
    told = as_nobody(python, "-c", STORY, str(folder))

    assert told.returncode == 0, told.stdout + told.stderr
    assert "reached by " in told.stdout
    assert f"Install with: {install_command(['no-such-package'])}" in told.stdout
