"""What the commands of `process_sampling` have told: parsed, and turned into shares of a host's whole CPU."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Seen:
    """Who a process is. `transient` of its unit, where systemd says."""

    pid: int
    started: int
    unit: str | None
    transient: bool | None
    name: str


def parse_look(output: str) -> dict[int, Seen]:
    """What `look_command` gave, by pid. A process that has ended is not told of."""
    rows, _, rest = output.partition("\n--\n")
    shown = _shown(rest)
    found: dict[int, Seen] = {}
    for row in rows.splitlines():
        words = row.split(" ", 8)
        if words[0] == "p" and len(words) == 9 and all(word.isdigit() for word in words[1:6]):
            unit = None if words[6] == "-" else words[6]
            transient = shown.get(unit or "", {}).get("Transient")
            known = None if transient is None else transient == "yes"
            found[int(words[1])] = Seen(int(words[1]), int(words[5]), unit, known, words[8])
    return found


@dataclass(frozen=True)
class Process:
    """A process that used CPU. `started` is in ticks since the machine's boot; `percent` of all the host's CPU."""

    pid: int
    parent: int
    started: int
    percent: float
    unit: str | None
    uid: int | None
    name: str


@dataclass(frozen=True)
class UnitUse:
    """A unit's processes together. `born` began within the second between the looks and were still there;
    `brief_percent` is the part of its use by those, and by children that have ended."""

    unit: str
    percent: float
    tasks: int
    born: int
    brief_percent: float
    main_pid: int | None = None
    transient: bool | None = None


@dataclass(frozen=True)
class Sample:
    """A host's CPU over about a second. None for what the host does not tell."""

    busy_percent: float | None = None
    steal_percent: float | None = None
    throttled_percent: float | None = None
    """Of the periods of the host's own quota, those in which it was used up."""
    cpus: int = 0
    load1: float | None = None
    total_processes: int | None = None
    used_percent: float | None = None
    """By all processes together, of the whole CPU: less than busy where a quota leaves less than that to use."""
    forks_per_s: float | None = None
    """Processes and threads that began."""
    connections_per_s: float | None = None
    """TCP connections that were accepted."""
    segments_per_s: float | None = None
    """TCP segments that came in."""
    uptime: float | None = None
    tick: int = 100
    processes: tuple[Process, ...] = ()
    units: tuple[UnitUse, ...] = ()

    def age_of(self, process: Process) -> float | None:
        """Seconds since the process began, where the host's clock can tell."""
        if self.uptime is None:
            return None
        age = self.uptime - process.started / self.tick
        return age if age >= 0 else None


@dataclass
class _Figures:
    """One look at the machine's counters."""

    clock: float | None = None
    cpu: tuple[int, ...] = ()
    cpus: int = 0
    numbers: dict[str, int] = field(default_factory=dict)


_OWN_FORKS = 11
"""What the command itself begins between its two looks, about."""


def parse_sample(output: str) -> Sample | None:
    """What `sampling_command` gave, or None where that is not what it should be."""
    parts = output.split("\n--\n")
    if len(parts) < 4:
        return None
    head, _, first = parts[0].partition("\n")
    load, _, first = first.partition("\n")
    tick = int(head) if head.strip().isdigit() else 100
    before, after = _figures(first), _figures(parts[1])
    seconds = (after.clock or 0) - (before.clock or 0)
    if seconds <= 0 or not after.cpu or len(after.cpu) != len(before.cpu):
        return None
    cpus = after.cpus or 1
    share = 100 / (seconds * tick * cpus)
    total, used, processes, units = _users(parts[2], share, _shown(parts[3]))
    first_word = load.split(" ")[0]
    return Sample(
        **cpu_shares(before.cpu, after.cpu),
        throttled_percent=_throttled(before.numbers, after.numbers),
        cpus=cpus,
        load1=float(first_word) if re.fullmatch(r"\d+\.\d+", first_word) else None,
        total_processes=total,
        used_percent=used,
        forks_per_s=_forks(before.numbers, after.numbers, seconds),
        connections_per_s=_rate("passive", before.numbers, after.numbers, seconds),
        segments_per_s=_rate("segments", before.numbers, after.numbers, seconds),
        uptime=after.clock,
        tick=tick,
        processes=processes,
        units=units,
    )


def _figures(text: str) -> _Figures:
    found = _Figures()
    for row in text.splitlines():
        words = row.split()
        numbers = [int(word) for word in words[1:] if word.isdigit()]
        if words[:1] == ["clock"] and len(words) > 1 and re.fullmatch(r"[\d.]+", words[1]):
            found.clock = float(words[1])
        elif words[:1] == ["cpu"]:
            found.cpu = tuple(numbers)
        elif words and re.fullmatch(r"cpu\d+", words[0]):
            found.cpus += 1
        elif words[:1] == ["Tcp:"] and len(words) > 10 and words[6].isdigit() and words[10].isdigit():
            found.numbers |= {"passive": int(words[6]), "segments": int(words[10])}
        elif len(words) == 2 and words[1].isdigit():
            found.numbers[words[0]] = int(words[1])
    return found


def cpu_shares(before: tuple[int, ...], after: tuple[int, ...]) -> dict[str, float | None]:
    """Fields as in proc_stat(5): user nice system idle iowait irq softirq steal, then guests, which user includes."""
    spent = [max(0, new - old) for old, new in zip(before[:8], after[:8], strict=True)]
    whole = sum(spent)
    if not whole or len(spent) < 5:
        return {"busy_percent": None, "steal_percent": None}
    steal = spent[7] if len(spent) > 7 else 0
    busy = whole - spent[3] - spent[4] - steal
    return {"busy_percent": round(100 * busy / whole, 1), "steal_percent": round(100 * steal / whole, 1)}


def _throttled(before: Mapping[str, int], after: Mapping[str, int]) -> float | None:
    periods = after.get("nr_periods", 0) - before.get("nr_periods", 0)
    if periods <= 0 or "nr_throttled" not in before:
        return None
    return round(100 * (after.get("nr_throttled", 0) - before["nr_throttled"]) / periods, 1)


def _forks(before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> float | None:
    """By the pids given out, which are the host's own; by the kernel's counter, which containers share, where pids
    have come round to their beginning."""
    grown = after.get("last", 0) - before.get("last", 0)
    if grown <= 0:
        return _rate("processes", before, after, seconds)
    return round(max(0, grown - _OWN_FORKS) / seconds, 1)


def _rate(name: str, before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> float | None:
    if name not in before or name not in after:
        return None
    return round(max(0, after[name] - before[name]) / seconds, 1)


def _users(
    text: str, share: float, shown: Mapping[str, Mapping[str, str]]
) -> tuple[int | None, float | None, tuple[Process, ...], tuple[UnitUse, ...]]:
    total, used, processes, units = None, None, [], []
    for row in text.splitlines():
        words = row.split(" ", 7)
        if words[0] == "process" and len(words) == 8 and all(word.isdigit() for word in words[1:5]):
            pid, parent, started, ticks = map(int, words[1:5])
            unit, uid = None if words[5] == "-" else words[5], int(words[6]) if words[6].isdigit() else None
            processes.append(Process(pid, parent, started, round(ticks * share, 1), unit, uid, words[7]))
        elif words[0] == "unit" and len(words) == 6 and all(word.isdigit() for word in words[2:6]):
            ticks, tasks, born, brief = map(int, words[2:6])
            said = shown.get(words[1], {})
            main, transient = said.get("MainPID", ""), said.get("Transient")
            units.append(UnitUse(words[1], round(ticks * share, 1), tasks, born, round(brief * share, 1),
                                 int(main) if main.isdigit() else None,
                                 None if transient is None else transient == "yes"))  # fmt: skip
        elif words[0] == "total" and len(words) == 3 and words[1].isdigit() and words[2].isdigit():
            total, used = int(words[1]), round(int(words[2]) * share, 1)
    return total, used, tuple(processes), tuple(units)


def _shown(text: str) -> dict[str, dict[str, str]]:
    blocks = (dict(row.partition("=")[::2] for row in block.splitlines()) for block in re.split(r"\n\s*\n", text))
    return {block["Id"]: block for block in blocks if "Id" in block}
