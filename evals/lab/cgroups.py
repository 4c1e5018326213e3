"""A host's own control groups: what gives it its own CPU and memory, and what freezes it.

Two layouts exist: version 1, one tree per controller (often with a version 2 tree beside them for systemd), and pure
version 2. A host gets a group of the same name in every tree, cpuset included, or its /proc/stat would show the whole
machine.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evals.lab.names import LAB
from evals.lab.stage import LabError

PREFIX = f"{LAB}-"
ROOT = Path("/sys/fs/cgroup")
_NOT_CONTROLLERS = ("rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode")
_CONFINED = "service"
_V2_WANTED = ("cpu", "cpuset", "memory", "pids")


@dataclass(frozen=True)
class Tree:
    """One mounted hierarchy. `controllers` is empty for version 2 and for systemd's named tree."""

    path: Path
    version: Literal[1, 2]
    controllers: tuple[str, ...] = ()


def mounted_trees(mountinfo: str | None = None) -> list[Tree]:
    """The hierarchies mounted below /sys/fs/cgroup. `mountinfo` has the format of /proc/self/mountinfo."""
    trees = []
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        path, kind = Path(before.split()[4]), after.split()[0]
        if kind == "cgroup2" and (path == ROOT or path.parent == ROOT):
            trees.append(Tree(path, 2))
        elif kind == "cgroup" and path.parent == ROOT:
            names = after.split()[2].split(",")
            trees.append(Tree(path, 1, tuple(n for n in names if n not in _NOT_CONTROLLERS and "=" not in n)))
    return trees


class HostCgroups:
    """The groups `selfheal-lab-<label>` in every tree. Raises LabError where the kernel refuses."""

    def __init__(self, label: str | int, trees: Sequence[Tree] | None = None) -> None:
        self.trees = tuple(mounted_trees() if trees is None else trees)
        self.name = f"{PREFIX}{label}"

    def create(self, memory_mib: int, most_processes: int = 512) -> None:
        """Make the groups, with a limit on memory and on the number of processes."""
        if not self.trees:
            raise LabError("no cgroup tree is mounted below /sys/fs/cgroup")
        if self.pure_v2:
            for controller in _V2_WANTED:
                # one that can't be had is told when its limit is set
                with contextlib.suppress(OSError):
                    (ROOT / "cgroup.subtree_control").write_text(f"+{controller}")
        for tree in self.trees:
            group = tree.path / self.name
            try:
                group.mkdir(exist_ok=True)
            except OSError as error:
                raise LabError(f"cannot make the cgroup {group}: {error.strerror}") from error
            for name in ("cpuset.cpus", "cpuset.mems") if "cpuset" in tree.controllers else ():
                _write(group / name, (tree.path / name).read_text().strip())
        if self.pure_v2:
            self._check_controllers()
        self.limit_memory(memory_mib)
        _write(self._file("pids", "pids.max"), str(most_processes))

    def joining(self) -> list[str]:
        """The files to write a process id to, to put that process into all groups."""
        return [str(tree.path / self.name / "cgroup.procs") for tree in self.trees]

    def limit_memory(self, mib: int) -> None:
        """The most memory the host may have; beyond it the kernel kills in it."""
        _write(self._file("memory", "memory.max" if self.pure_v2 else "memory.limit_in_bytes"), str(mib << 20))
        if self.pure_v2:
            with contextlib.suppress(LabError):  # no swap accounting, no swap to keep it from
                _write(self._file("memory", "memory.swap.max"), "0")

    def give_cpus(self, most: int | None = None) -> int:
        """Let the host have `most` CPUs, None for all; returns how many that are. While it has fewer than all, it goes
        before others there: a host of its own has its CPU to itself."""
        group = self._file("cpuset", "cpuset.cpus")
        everything = (group.parent.parent / ("cpuset.cpus.effective" if self.pure_v2 else "cpuset.cpus")).read_text()
        numbers = cpu_numbers(everything)
        given = numbers if most is None else numbers[-most:]
        _write(group, ",".join(map(str, given)))
        alone = len(given) < len(numbers)
        if self.pure_v2:
            _write(self._file("cpu", "cpu.weight"), "1000" if alone else "100")
        else:
            _write(self._file("cpu", "cpu.shares"), "10240" if alone else "1024")
        return len(given)

    def confinement(self, mib: int) -> Path:
        """A group within the host's for one of its services: the file to write process ids to. Version 1 only.

        What `MemoryMax=` does on a machine of its own, and does inside a container on version 2.
        """
        group = self._file("memory", _CONFINED)
        group.mkdir(exist_ok=True)
        _write(group / "memory.limit_in_bytes", str(mib << 20))
        return group / "cgroup.procs"

    def end_confinement(self) -> None:
        """Move what is in there back among the host's processes, and remove it. Idempotent."""
        if self.pure_v2:
            return
        group = self._file("memory", _CONFINED)
        with contextlib.suppress(FileNotFoundError):
            for pid in (group / "cgroup.procs").read_text().split():
                with contextlib.suppress(OSError):  # ended meanwhile
                    self._file("memory", "cgroup.procs").write_text(pid)
            group.rmdir()

    def freeze(self, wait: float = 5.0) -> None:
        """Stop every process of the host where it stands, and return when that is so."""
        _write(self._freezer(), "1" if self.pure_v2 else "FROZEN")
        deadline = time.monotonic() + wait
        while not self.frozen():
            if time.monotonic() > deadline:
                raise LabError(f"the kernel did not freeze {self.name} within {wait:g} s")
            time.sleep(0.01)

    def frozen(self) -> bool:
        """Whether all the host's processes stand still now."""
        if self.pure_v2:
            return "frozen 1" in (ROOT / self.name / "cgroup.events").read_text()
        return self._freezer().read_text().strip() == "FROZEN"

    def thaw(self) -> None:
        """Undo `freeze`. Idempotent; also when the groups are gone or there is no freezer."""
        # open for update, which creates no file where the group is gone
        with contextlib.suppress(FileNotFoundError, LabError), self._freezer().open("r+") as state:
            state.write("0" if self.pure_v2 else "THAWED")

    def processes(self) -> set[int]:
        """The processes in any of the groups."""
        found: set[int] = set()
        for tree in self.trees:
            for folder, _, _ in os.walk(tree.path / self.name):
                with contextlib.suppress(OSError):  # removed meanwhile
                    found.update(map(int, Path(folder, "cgroup.procs").read_text().split()))
        return found - {0}

    def remove(self, wait: float = 5.0) -> None:
        """Remove the groups, whose processes have ended. Idempotent. Raises LabError naming what is left."""
        deadline = time.monotonic() + wait
        while left := [tree.path / self.name for tree in self.trees if not _removed(tree.path / self.name)]:
            if time.monotonic() > deadline:
                raise LabError(f"cgroups {', '.join(map(str, left))} are still in use by {sorted(self.processes())}")
            time.sleep(0.02)  # the kernel lets go of a dead process's group a moment later

    @property
    def pure_v2(self) -> bool:
        """Whether this machine has version 2 only."""
        return bool(self.trees) and self.trees[0].path == ROOT and self.trees[0].version == 2

    def _check_controllers(self) -> None:
        given = (ROOT / self.name / "cgroup.controllers").read_text().split()
        if lacking := [name for name in _V2_WANTED if name not in given]:
            raise LabError(f"cgroups here (version 2) are not given the controllers {', '.join(lacking)}")

    def _freezer(self) -> Path:
        return self._file("freezer", "cgroup.freeze" if self.pure_v2 else "freezer.state")

    def _file(self, controller: str, name: str) -> Path:
        if self.pure_v2:
            return ROOT / self.name / name
        for tree in self.trees:
            if controller in tree.controllers:
                return tree.path / self.name / name
        raise LabError(f"this machine's cgroups have no {controller} controller below {ROOT}")


def cpu_numbers(text: str) -> list[int]:
    """`0-1,4` → [0, 1, 4]."""
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def leftover_labels() -> set[str]:
    """Labels of the lab's groups that exist now."""
    found = (path for tree in mounted_trees() for path in tree.path.glob(f"{PREFIX}*"))
    return {path.name.removeprefix(PREFIX) for path in found}


def _removed(group: Path) -> bool:
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):  # still in use: tried again by the caller
            os.rmdir(folder)
    return not group.exists()


def _write(path: Path, text: str) -> None:
    try:
        with path.open("r+") as file:
            file.write(text)
    except OSError as error:
        raise LabError(f"cannot write {text!r} to {path}: {error.strerror}") from error
