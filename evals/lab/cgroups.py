# NOTE TO THE HELPER WHO WRITES THE HOSTS LAB: while you were cut off (API outage) the lead drafted cgroups.py, network.py,
# rootfs.py, machine.py, detect.py, hosts.py and faults/host_hung.py, host_stopped.py, service_oom_killed.py, and so overwrote some
# of yours. The lab is YOURS: restore your own versions where you have them, use/replace/delete these drafts as you like (copies
# are in /tmp/prep/mylab), remove this note, and go on. The lead will not touch evals/lab/ again until you report. Be done by 14:40.
"""The control groups of the lab's hosts: each has its own, or one host's load would show on all.

Written for cgroup v1 (with the unified hierarchy beside it), as containers and small VMs have it. Under pure v2 the
lab says so and does not run.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpuset", "cpu", "cpuacct", "memory", "pids", "freezer", "systemd", "unified", "blkio", "devices")
NEEDED = ("cpuset", "cpu", "memory", "freezer", "systemd")
PREFIX = "selfheal-lab-"


def refusal() -> str | None:
    """Why this machine's control groups can't carry the lab, found out by making one."""
    missing = [name for name in NEEDED if not (ROOT / name / "tasks").exists()]
    if missing:
        kind = "pure cgroup v2" if (ROOT / "cgroup.controllers").exists() else f"no cgroup v1 {', '.join(missing)}"
        return f"{kind} here; the lab needs cgroup v1 controllers ({', '.join(NEEDED)})"
    trial = ROOT / "freezer" / f"{PREFIX}trial"
    try:
        trial.mkdir(exist_ok=True)
        trial.rmdir()
    except OSError as error:
        return f"control groups can't be made here: {error}"
    return None


class HostCgroups:
    """The groups of one host."""

    def __init__(self, number: int) -> None:
        self.name = f"{PREFIX}{number}"

    def _present(self) -> list[str]:
        return [name for name in CONTROLLERS if (ROOT / name).is_dir()]

    def path(self, controller: str) -> Path:
        return ROOT / controller / self.name

    def make(self, memory_mib: int) -> None:
        for name in self._present():
            self.path(name).mkdir(exist_ok=True)
        for key in ("cpuset.cpus", "cpuset.mems"):
            (self.path("cpuset") / key).write_text((ROOT / "cpuset" / key).read_text())
        (self.path("memory") / "memory.limit_in_bytes").write_text(str(memory_mib << 20))

    def enter_script(self) -> str:
        """Shell lines that put the calling shell, and so all it starts, into the groups."""
        return "; ".join(f"echo $$ > {self.path(name)}/cgroup.procs" for name in self._present())

    def freeze(self, frozen: bool) -> None:
        (self.path("freezer") / "freezer.state").write_text("FROZEN" if frozen else "THAWED")

    @property
    def frozen(self) -> bool:
        with contextlib.suppress(OSError):
            return (self.path("freezer") / "freezer.state").read_text().strip() != "THAWED"
        return False

    def pids(self) -> list[int]:
        """Every process of the host."""
        found: set[int] = set()
        for group in (self.path("freezer"), *self.path("freezer").rglob("*/")):
            with contextlib.suppress(OSError):
                found |= {int(line) for line in (group / "cgroup.procs").read_text().split()}
        return sorted(found)

    def remove(self) -> None:
        for name in self._present():
            for group in sorted(self.path(name).rglob("*/"), key=lambda item: len(item.parts), reverse=True):
                with contextlib.suppress(OSError):  # a process is still leaving: the next run removes it
                    group.rmdir()
            with contextlib.suppress(OSError):
                self.path(name).rmdir()
