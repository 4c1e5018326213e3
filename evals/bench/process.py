"""What a process costs, by /proc: its memory, and the CPU time it has taken."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory of the process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no memory: it has ended")


@dataclass(frozen=True)
class Cpu:
    """CPU seconds of a process: of its main thread, which is a server's event loop, and of all its others together."""

    loop: float = 0.0
    others: float = 0.0

    @property
    def whole(self) -> float:
        return self.loop + self.others

    def plus(self, more: Cpu) -> Cpu:
        """Both together."""
        return Cpu(self.loop + more.loop, self.others + more.others)

    def since(self, before: Cpu) -> Cpu:
        """What came since then."""
        return Cpu(self.loop - before.loop, self.others - before.others)

    def told(self, units: float, of: str) -> str:
        """`0.31 ms of CPU a post: event loop 0.17, other threads 0.14`, for that many units."""
        whole, loop, others = (seconds / units * 1000 for seconds in (self.whole, self.loop, self.others))
        return f"{whole:.3g} ms of CPU {of}: event loop {loop:.3g}, other threads {others:.3g}"


@dataclass(frozen=True)
class MachineTime:
    """CPU seconds of the whole machine: spent on anything, and there were."""

    busy: float
    whole: float

    def share_since(self, before: MachineTime) -> float:
        """How much of it was spent since then: 1 is all."""
        return (self.busy - before.busy) / max(self.whole - before.whole, 1 / _TICKS)


def machine_time() -> MachineTime:
    """So far."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    whole, idle = sum(ticks) / _TICKS, (ticks[3] + ticks[4]) / _TICKS
    return MachineTime(whole - idle, whole)


def cpu_of(pid: int) -> Cpu:
    """So far."""
    loop = _taken(Path(f"/proc/{pid}/task/{pid}/stat"))
    return Cpu(loop, _taken(Path(f"/proc/{pid}/stat")) - loop)


def _taken(stat: Path) -> float:
    fields = stat.read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
