"""What a process costs, by /proc: its memory, and the CPU time it has taken."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory of the process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no memory: it has ended")


def cpu_seconds(pid: int) -> float:
    """CPU time of all its threads so far, its children's that it has waited for aside."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
