"""Installs the Debian packages that the lab's real servers come in, and nothing else they would bring.

Debian starts a package's daemon as it is installed and at each boot. The lab runs its own copies on its own ports: a
Prometheus on all addresses of the user's laptop must not be what a demo leaves behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from evals.lab.stage import LabError

POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked by Debian's install scripts whether a daemon may be started; exit code 101 means no."""

POLICY_TEXT = "#!/bin/sh\n# written by selfheal's lab while it installs packages\nexit 101\n"

APT_WAIT = 600
"""Seconds for apt, waiting for another apt included."""


def missing_packages(names: Sequence[str]) -> list[str]:
    """Those of `names` that are not installed; all of them where dpkg is not to be had."""
    return [name for name in names if not _installed(name)]


def install_command(names: Sequence[str]) -> str:
    """What a user types to install them."""
    return f"sudo apt-get install --no-install-recommends {' '.join(names)}"


def install_packages(names: Sequence[str], say: Callable[[str], None] = lambda _line: None) -> list[str]:
    """Install what is missing of `names`, without starting any daemon now or at boot. Returns what was installed.

    Raises LabError naming what is missing and the command that installs it where this process can't: not root,
    not Debian or Ubuntu, or apt failed.
    """
    missing = missing_packages(names)
    if not missing:
        return []
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        why = "only root can install packages" if shutil.which("apt-get") else "this is not Debian or Ubuntu"
        raise LabError(f"missing: {', '.join(missing)}; {why}. Install with: {install_command(missing)}")
    say(f"installing {' '.join(missing)}")
    with _daemons_kept_from_starting():
        # lists may be absent in a fresh container, or older than the archive
        said = _apt("install", missing)
        if said:
            said = _apt("update", []) + _apt("install", missing)
    _disable_daemons(missing)
    if left := missing_packages(missing):
        raise LabError(f"apt-get did not install {', '.join(left)}: {said[-800:]}\nTry: {install_command(left)}")
    return missing


def _installed(name: str) -> bool:
    if shutil.which("dpkg-query") is None:
        return False
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", name], capture_output=True, text=True, timeout=30
    )
    return asked.returncode == 0 and asked.stdout.strip() == "installed"


def _apt(verb: str, packages: Sequence[str]) -> str:
    """What apt-get had to complain about; empty when it succeeded."""
    options = ["-o", "DPkg::Lock::Timeout=300", "-o", "APT::Install-Recommends=false", "-o", "Dpkg::Use-Pty=0"]
    try:
        done = subprocess.run(
            ["apt-get", "-y", "-qq", *options, verb, *packages],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
            capture_output=True, text=True, timeout=APT_WAIT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise LabError(f"apt-get {verb} {' '.join(packages)} did not end within {APT_WAIT} s") from error
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""


@contextlib.contextmanager
def _daemons_kept_from_starting() -> Iterator[None]:
    """A policy-rc.d that says no, unless the machine has one of its own. One left by a killed run is taken over."""
    ours = not POLICY.exists() or POLICY.read_text(errors="replace") == POLICY_TEXT
    if ours:
        POLICY.write_text(POLICY_TEXT)
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def _disable_daemons(packages: Sequence[str]) -> None:
    """Keep what has just come with the packages from starting at the next boot."""
    if shutil.which("systemctl") is None:
        return
    for package in packages:
        listed = subprocess.run(["dpkg-query", "-L", package], capture_output=True, text=True, timeout=30)
        units = [
            path.name
            for line in listed.stdout.splitlines()
            if (path := Path(line)).parent.name == "system" and path.suffix in (".service", ".socket", ".timer")
            and "@" not in path.name
        ]  # fmt: skip
        if units:
            # only links under /etc are removed: works with and without a running systemd
            subprocess.run(["systemctl", "--quiet", "disable", *units], capture_output=True, timeout=60)
