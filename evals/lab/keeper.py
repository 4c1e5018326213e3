"""Keeps one host powered: runs systemd-nspawn, and runs it again whenever the guest asks for a reboot.

A program of its own, and run by path, because it must stay outside the host's cgroups: frozen with them, it could never
bring the host back. Usage: keeper SPEC, a JSON file: {argv, cgroups: [files to write
pids to], link, state, lxcfs}.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

REBOOT = 133
"""What systemd-nspawn with --keep-unit ends with when the guest has rebooted."""

LXCFS_FILES = ("meminfo", "stat", "cpuinfo", "loadavg")
"""Not `uptime`, which breaks ps."""


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    state = Path(spec["state"])
    while True:
        remove_link(spec["link"])
        nspawn = subprocess.Popen(spec["argv"], stdin=subprocess.DEVNULL, preexec_fn=lambda: join(spec["cgroups"]))
        leader = find_leader(nspawn)
        if leader is not None:
            fresh = state.with_suffix(".new")
            fresh.write_text(json.dumps({"nspawn": nspawn.pid, "leader": leader, "ticks": start_ticks(leader)}))
            fresh.replace(state)
            show_own_figures(nspawn, leader, spec["lxcfs"])
        code = nspawn.wait()
        state.unlink(missing_ok=True)
        if code != REBOOT:
            sys.exit(code if code >= 0 else 128 - code)


def remove_link(name: str) -> None:
    """Remove what is left of the last boot's cable: the kernel does so late, and nspawn refuses one that exists."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        # mostly there is none, and ip says so
        subprocess.run(["ip", "link", "del", name], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10)


def join(groups: list[str]) -> None:
    for group in groups:
        with open(group, "w") as procs:
            procs.write("0")


def find_leader(nspawn: subprocess.Popen[bytes]) -> int | None:
    """The guest's process 1 as the machine counts, or None when nspawn ended before it had one."""
    while nspawn.poll() is None:
        for pid in children(nspawn.pid):
            with contextlib.suppress(OSError):  # gone meanwhile
                status = Path(f"/proc/{pid}/status").read_text()
                ids = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
                if len(ids) > 1 and ids[-1] == "1":
                    return pid
        time.sleep(0.01)
    return None


def children(parent: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{name}/stat").read_text(errors="replace")  # a process may call itself anything
                if int(stat.rpartition(")")[2].split()[1]) == parent:
                    found.append(int(name))
    return found


def start_ticks(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def show_own_figures(nspawn: subprocess.Popen[bytes], leader: int, lxcfs: str | None) -> None:
    """Put lxcfs's files over the machine's, once the guest's init has made its mounts."""
    if lxcfs is None:
        return
    while nspawn.poll() is None and not (Path("/proc", str(leader), "root") / "run/systemd/private").exists():
        time.sleep(0.02)
    script = "; ".join(f"mount --bind {lxcfs}/proc/{name} /proc/{name}" for name in LXCFS_FILES)
    subprocess.run(["nsenter", "-t", str(leader), "-m", "-p", "--", "/bin/sh", "-c", script], timeout=10)


if __name__ == "__main__":
    main()
