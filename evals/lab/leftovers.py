"""Ends every process of a group, also after its starter was killed without a chance to clean up.

Run as a program this is the *watch*: it blocks on its standard input, a pipe whose other end only the starter holds, so
it wakes when the starter ends for whatever reason, SIGKILL included. PR_SET_PDEATHSIG would fire when the
starting *thread* ends, which is wrong for stages brought up from a worker thread.

Standard library only, and run by path, so the watch works whatever becomes of the starter's environment.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

MARK = "SELFHEAL_LAB_GROUP"
"""Environment variable that every process of a group carries, its value naming the group."""

KILL_WAIT = 5.0
"""Seconds a process may take to go after SIGKILL; longer means it hangs in the kernel."""


@dataclass(frozen=True)
class Started:
    """One process we started: enough to know it again and never mistake another with the same pid for it."""

    name: str
    pid: int
    start_ticks: int
    boot_id: str
    argv: tuple[str, ...]


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """Clock ticks from boot to the start of `pid`; None when it is gone or a zombie."""
    row = _stat(pid)
    return row[2] if row and row[0] not in "ZX" else None


def read_records(path: Path) -> list[Started]:
    """The processes a pid file names, unreadable lines (cut short by a kill) left out."""
    records = []
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError, TypeError):
                raw = json.loads(line)
                records.append(Started(**{**raw, "argv": tuple(raw["argv"])}))
    return records


def append_record(path: Path, record: Started) -> None:
    with path.open("a") as out:
        out.write(json.dumps(asdict(record)) + "\n")


def still_running(record: Started) -> bool:
    """Whether this very process lives: same boot, same start, and a command line that still names its program."""
    if record.boot_id != boot_id() or start_ticks(record.pid) != record.start_ticks:
        return False
    with contextlib.suppress(OSError):  # gone between the two looks
        shown = Path(f"/proc/{record.pid}/cmdline").read_bytes().decode(errors="replace")
        # not compared whole: sshd rewrites its own title
        return os.path.basename(record.argv[0]) in shown
    return False


def end_group(mark: str, records: Sequence[Started], patience: float) -> list[int]:
    """TERM the recorded processes, wait `patience` seconds, KILL what is left of them and theirs.

    Returns the pids that outlived even that.
    """
    leaders = {r.pid: r.start_ticks for r in records if still_running(r)}
    everyone = {**leaders, **_descendants(leaders), **_marked(mark)}
    for pid, ticks in leaders.items():
        _send(pid, ticks, signal.SIGTERM)
    _wait_gone(leaders, patience)
    # asked again: a manager may have started another child meanwhile
    everyone |= _marked(mark)
    for pid, ticks in everyone.items():
        _send(pid, ticks, signal.SIGKILL)
    return _wait_gone(everyone, KILL_WAIT)


def _stat(pid: int) -> tuple[str, int, int] | None:
    """(state, parent pid, start ticks) of a process, or None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[19])


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _descendants(roots: Mapping[int, int]) -> dict[int, int]:
    rows = {pid: row for pid in _pids() if (row := _stat(pid))}
    found: dict[int, int] = {}
    layer = set(roots)
    while layer:
        layer = {pid for pid, row in rows.items() if row[1] in layer and pid not in found and pid not in roots}
        found |= {pid: rows[pid][2] for pid in layer}
    return found


def _marked(mark: str) -> dict[int, int]:
    """Processes started with `mark` in their environment, except the asking one and its ancestors."""
    wanted = f"{MARK}={mark}".encode()
    spared = _lineage()
    found: dict[int, int] = {}
    for pid in _pids():
        ticks = start_ticks(pid)
        if ticks is None or pid in spared:
            continue
        with contextlib.suppress(OSError):  # gone, or another user's
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found[pid] = ticks
    return found


def _lineage() -> set[int]:
    lineage: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in lineage:
        lineage.add(pid)
        row = _stat(pid)
        pid = row[1] if row else 0
    return lineage


def _send(pid: int, ticks: int, signum: signal.Signals) -> None:
    """Signal the process that started at `ticks`; the pidfd keeps a reused pid from being hit."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        try:
            handle = os.pidfd_open(pid)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            # a sandboxed kernel without pidfds: the check just before is the best there is
            if start_ticks(pid) == ticks:
                os.kill(pid, signum)
            return
        try:
            if start_ticks(pid) == ticks:
                signal.pidfd_send_signal(handle, signum)
        finally:
            os.close(handle)


def _wait_gone(processes: Mapping[int, int], seconds: float) -> list[int]:
    deadline = time.monotonic() + seconds
    while True:
        left = [pid for pid, ticks in processes.items() if start_ticks(pid) == ticks]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.02)


def _watch(mark: str, pid_file: Path, patience: float) -> None:
    # Ctrl-C and a closed terminal are the starter's business
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    end_group(mark, read_records(pid_file), patience)


if __name__ == "__main__":
    _watch(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
