"""One lab on a machine at a time, and nothing left of it: the lock, the record of what is there, and the sweep.

Containers leave more than processes: mounts, loop devices, cgroups, a network namespace. All carry a fixed name or lie
in the work folder that the record names, so that also a run that was killed can be swept by the next one.
The *janitor*, run as a program, does that at once: it waits on a pipe that closes when the lab's owner ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import IO

from evals.lab.cgroups import HostCgroups, leftover_labels
from evals.lab.lxcfs import stop_lxcfs
from evals.lab.machine_commands import call
from evals.lab.names import LAB
from evals.lab.network import remove_network
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError

RUN = Path("/run") / LAB
_RECORD = RUN / "stage.json"
OWNED = ".selfheal-stage"
"""File that marks a folder as a stage's own, without which nothing in it is removed."""

HOSTS_FOLDER = "machines"
"""Folder of the work folder with the hosts' disks and processes; the monitoring has its own."""

_BUSY_WAIT = 5.0
"""Seconds for mounts to become free after their last user has been killed."""


class Claim:
    """The right to the machine's one lab, held from `take` to `give_up`, or until this process ends."""

    def __init__(self) -> None:
        self._lock: IO[str] | None = None
        self._janitor: subprocess.Popen[bytes] | None = None

    @property
    def held(self) -> bool:
        return self._lock is not None

    def take(self, work: Path, wait: float = 3.0) -> None:
        """Take the lab for `work` and sweep what an earlier run left. Raises LabError when somebody has it."""
        self._lock = _locked(wait)
        if self._lock is None:
            raise LabError(
                f"another lab is up on this machine ({_owner()}) and there can be one at a time: end that one first"
            )
        try:
            sweep()
            _own(work.resolve())
            owner = uuid.uuid4().hex
            _RECORD.write_text(json.dumps({"work": str(work.resolve()), "owner": owner, "pid": os.getpid()}))
            self._janitor = subprocess.Popen(
                [sys.executable, "-m", "evals.lab.sweep", owner], cwd=Path(__file__).resolve().parents[2],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            self._lock.close()
            self._lock = None
            raise

    def give_up(self) -> None:
        """Sweep everything and give the lab back. Idempotent. Raises LabError naming what could not be removed."""
        if self._lock is None:
            return
        sweep()
        janitor, self._janitor = self._janitor, None
        if janitor is not None and janitor.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has died before us
                janitor.stdin.write(b"swept")
                janitor.stdin.close()
            janitor.wait(timeout=10)
        self._lock.close()
        self._lock = None


def sweep() -> None:
    """Remove what a lab may have left, by the record and by its fixed names. Raises LabError naming what stays."""
    work = _recorded_work()
    groups = [HostCgroups(label) for label in leftover_labels()]
    for group in groups:
        _kill(group)
    if work is not None:
        ProcessGroup(work / "monitoring").stop()
        stop_lxcfs(work / HOSTS_FOLDER)
        ProcessGroup(work / HOSTS_FOLDER, patience=0.5).stop()
    for group in groups:
        _kill(group)
        group.remove()
    if work is not None:
        _unmount_below(work)
        _detach_below(work)
        _empty(work)
    remove_network()
    _RECORD.unlink(missing_ok=True)


def mounts_below(folder: Path) -> list[str]:
    """Mount points in `folder`, the last mounted first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(f"{folder}/"):
            found.append(point)
    return found[::-1]


def loops_below(folder: Path) -> list[str]:
    """Loop devices backed by files in `folder`."""
    listed = json.loads(call(["losetup", "--list", "--json", "--output", "NAME,BACK-FILE"]) or "{}")
    return [
        device["name"]
        for device in listed.get("loopdevices", ())
        if str(device["back-file"]).startswith(f"{folder}/")
    ]  # fmt: skip


def _locked(wait: float) -> IO[str] | None:
    RUN.mkdir(mode=0o755, exist_ok=True)
    lock = (RUN / "lock").open("a")
    deadline = time.monotonic() + wait
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        if time.monotonic() > deadline:
            lock.close()
            return None
        time.sleep(0.1)


def _record() -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):  # none, or cut short
        record = json.loads(_RECORD.read_text())
        if isinstance(record, dict):
            return record
    return {}


def _recorded_work() -> Path | None:
    work = _record().get("work")
    return Path(work) if work else None


def _owner() -> str:
    record = _record()
    return f"process {record['pid']}, work folder {record['work']}" if record else "just starting"


def _kill(group: HostCgroups) -> None:
    deadline = time.monotonic() + _BUSY_WAIT
    while pids := group.processes():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # frozen processes die when thawed, and not before
        group.thaw()
        if time.monotonic() > deadline:
            raise LabError(f"processes {sorted(pids)} of {group.name} outlived SIGKILL; they hang in the kernel")
        time.sleep(0.02)


def _unmount_below(folder: Path) -> None:
    deadline = time.monotonic() + _BUSY_WAIT
    while points := mounts_below(folder):
        for point in points:
            try:
                call(["umount", point])
            except LabError:
                if time.monotonic() > deadline:
                    # out of sight at least; the kernel frees it with its last user
                    call(["umount", "--lazy", point])
        time.sleep(0.05)


def _detach_below(folder: Path) -> None:
    for device in loops_below(folder):
        with contextlib.suppress(LabError):  # went by itself, as mount's own do
            call(["losetup", "--detach", device])


def _empty(work: Path) -> None:
    if (work / OWNED).exists():
        for child in work.iterdir():
            if child.name != OWNED:
                shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        # last, so that an interrupted clean-up can be taken up again
        (work / OWNED).unlink()


def _own(work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    _empty(work)
    if any(work.iterdir()):
        raise LabError(f"{work} is not empty and not a stage's own; name another folder or empty it yourself")
    (work / OWNED).write_text("this folder belongs to a stage of the lab, which empties it\n")


def _watch(owner: str) -> None:
    # Ctrl-C and a closed terminal are the owner's business
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    if sys.stdin.buffer.read(5) == b"swept":
        return
    lock = _locked(wait=60)
    if lock is not None and _record().get("owner") == owner:
        sweep()


if __name__ == "__main__":
    _watch(sys.argv[1])
