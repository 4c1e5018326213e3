"""lxcfs: the file system that shows each host its own CPU and memory in /proc rather than the whole machine's."""

from __future__ import annotations

from pathlib import Path

from evals.lab.machine_commands import call
from evals.lab.probing import wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError

READY_WAIT = 5.0


def start_lxcfs(folder: Path, processes: ProcessGroup) -> Path:
    """Mount lxcfs at `folder`/lxcfs and return that path. Raises LabError with its words when it won't."""
    mounted = folder / "lxcfs"
    mounted.mkdir(parents=True, exist_ok=True)
    argv = ["lxcfs", "-f", "-l", "--enable-cfs", f"--pidfile={folder / 'lxcfs.pid'}", str(mounted)]
    processes.start("lxcfs", argv)

    def missing() -> str | None:
        if not processes.alive("lxcfs"):
            raise LabError(f"lxcfs ended at once: {processes.log_tail('lxcfs', 3)}")
        return None if (mounted / "proc" / "meminfo").exists() else "its /proc is not there"

    wait_until(missing, READY_WAIT, "lxcfs is mounted", every=0.02)
    return mounted


def stop_lxcfs(folder: Path) -> None:
    """Unmount it, of which it ends; a signal alone it would sit out. Idempotent. Raises LabError."""
    mounted = folder / "lxcfs"
    if mounted.is_mount():
        call(["umount", "--lazy", str(mounted)])
