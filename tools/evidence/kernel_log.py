"""What the kernel's log says of kills and broken disks: pure parsing of dmesg's lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_STAMP = re.compile(r"^\[\s*(\d+\.\d+)\]\s*(.*)$")
_KILLED = re.compile(r"[Kk]ill(?:ed)? process (\d+) \((.{1,64}?)\)")
_VICTIM = re.compile(r"oom-kill:.*task_memcg=([^,]*),task=(.{1,64}?),pid=(\d+)")
_IO = re.compile(
    r"\bI/O error\b|EXT4-fs error|XFS \(.*\): .*(?:[Cc]orrupt|shut ?down)|BTRFS error|Remounting filesystem read-only"
    r"|medium error|nvme.*timeout"
)
PATTERN = (
    "Out of memory|oom-kill|Killed process|Memory cgroup out|I/O error|EXT4-fs error|XFS \\(|BTRFS error|"
    "Remounting filesystem|nvme.*timeout"
)
"""For `grep -E`: the lines worth bringing over."""


@dataclass(frozen=True)
class OomKill:
    """One process that the kernel killed for memory. `at` is seconds since the kernel booted."""

    at: float
    pid: int
    process: str
    unit: str | None = None
    """The systemd unit of its cgroup, where the kernel names one."""


@dataclass(frozen=True)
class KernelSigns:
    kills: tuple[OomKill, ...] = ()
    """Oldest first."""
    io_errors: tuple[str, ...] = ()


def kernel_signs(lines: Sequence[str], since: float) -> KernelSigns:
    """Signs in dmesg's lines with plain stamps (`[ 1234.5678] …`), those after `since` seconds of uptime."""
    kills: dict[int, OomKill] = {}
    units: dict[int, str | None] = {}
    errors = []
    for raw in lines:
        match = _STAMP.match(raw)
        if match is None or float(match[1]) < since:
            continue
        says = match[2]
        if victim := _VICTIM.search(says):
            units[int(victim[3])] = _unit_of(victim[1])
        elif killed := _KILLED.search(says):
            pid = int(killed[1])
            kills[pid] = OomKill(float(match[1]), pid, killed[2], units.get(pid))
        elif _IO.search(says):
            errors.append(says)
    return KernelSigns(tuple(kills.values()), tuple(errors))


def _unit_of(cgroup: str) -> str | None:
    """`/system.slice/nginx.service` → `nginx.service`."""
    units = [part for part in cgroup.split("/") if part.endswith(".service")]
    return units[-1] if units else None
