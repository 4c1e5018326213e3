"""Who uses a host's CPU and how much is asked of it, as facts tell: what the causes of a high CPU are told apart by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from graph.facts import Fact, Facts
from graph.records import Resource
from tools.actions.protected_units import is_protected

Traffic = Literal["rising", "usual", "unknown"]

BULK = 0.5
"""The share of the CPU in use that makes one user of it the cause."""
RISEN = 1.5
"""Requests are rising from this many times of what is usual."""
STEADY = 0.7
"""A CPU that was at this share of what it is now has not become busy lately."""
MANY_CONNECTIONS_PER_S, MANY_CONNECTIONS = 20, 50
FEW_CONNECTIONS_PER_S, FEW_CONNECTIONS = 5, 10
"""Where no metric of requests is declared: what the host itself sees, with a wide gap in which nothing is said."""

_DATABASE_UNITS = ("postgresql*", "mysql*", "mariadb*")
_DATABASE_PROGRAMS = ("postgres", "mysqld", "mariadbd")


@dataclass(frozen=True)
class Process:
    """A busy process, with the facts that prove which it is."""

    pid: str
    name: str
    percent: float
    cites: tuple[Fact, ...]
    started: int | None
    unit: str | None


@dataclass(frozen=True)
class Culprit:
    """Who uses the bulk of the CPU in use: a unit, or a process of none. `process` is the busiest of it."""

    percent: float
    unit: str | None
    process: Process | None
    cites: tuple[Fact, ...]

    @property
    def target(self) -> str:
        """What a repair is about."""
        return self.unit or (self.process.pid if self.process else "")

    @property
    def words(self) -> str:
        """`batch7.service (sh, pid 42)`, or `sh (pid 42, in ssh.service)` where the unit is not the culprit's own."""
        if self.process is None:
            return self.unit or ""
        if self.unit is None or is_protected(self.unit):
            within = f", in {self.unit}" if self.unit else ""
            return f"{self.process.name} (pid {self.process.pid}{within})"
        return f"{self.unit} ({self.process.name}, pid {self.process.pid})"


def busy(facts: Facts, resource: Resource, beyond_doubt: bool = False) -> list[Fact]:
    """What says that the CPU is busy beyond the threshold. A second's look may catch a moment's rest, so where the
    alert's condition holds, less will do; but not `beyond_doubt`, as an alert's limit may be anything."""
    firing = list(facts.where("alert.firing", True)) and not beyond_doubt
    least = resource.thresholds.cpu_percent * (0.7 if firing else 0.9)
    return [*(fact for fact in facts.all("cpu.busy_percent") if number(fact) >= least), *throttled(facts)]


def throttled(facts: Facts) -> list[Fact]:
    """What says that the host's own quota is used up."""
    return [fact for fact in facts.all("cpu.throttled_percent") if number(fact) >= 25]


def in_use(facts: Facts) -> Fact | None:
    """What is used of the whole CPU. A host that is throttled may call itself busy at a part of it."""
    used = facts.first("cpu.used_percent") if throttled(facts) else None
    return used or facts.first("cpu.busy_percent")


def culprit(facts: Facts, resource: Resource) -> Culprit | None:
    """The one user of the bulk of it, or None where there is no such."""
    total = in_use(facts)
    if total is None or not busy(facts, resource):
        return None
    bulk = BULK * number(total)
    unit = max(facts.all("unit.cpu_percent"), key=number, default=None)
    if unit is not None and number(unit) >= bulk:
        name = unit.labels["unit"]
        within = next((process for process in _processes(facts) if process.unit == name), None)
        return Culprit(number(unit), name, within, (unit, *(within.cites if within else ())))
    process = next(_processes(facts), None)
    if process is None or process.percent < bulk:
        return None
    return Culprit(process.percent, process.unit, process, process.cites)


def declared_service(found: Culprit, facts: Facts, resource: Resource) -> str | None:
    """The declared service it is: by its unit, or by its main process where another manager than systemd runs it."""
    if found.unit in resource.services:
        return found.unit
    if found.process is None:
        return None
    parent = facts.value("process.parent", pid=found.process.pid)
    for service in resource.services:
        main = facts.value("unit.main_pid", unit=service)
        if main is not None and str(main) in (found.process.pid, str(parent)):
            return service
    return None


def is_database(found: Culprit) -> bool:
    """Whether it is a database server: nobody's to stop or restart for being busy."""
    by_unit = any(fnmatchcase(found.unit or "", pattern) for pattern in _DATABASE_UNITS)
    return by_unit or (found.process is not None and found.process.name in _DATABASE_PROGRAMS)


def traffic(facts: Facts) -> tuple[Traffic, list[Fact], str]:
    """Whether more is asked of the host than usual, what says so, and in words.

    The declared measure of requests decides where there is one; else the connections that the host itself sees.
    """
    now, usual = facts.first("metric.requests_per_s"), facts.first("metric.requests_usual_per_s")
    if now is not None and usual is not None:
        words = f"{number(now):g} requests a second, usually {number(usual):g}"
        if number(now) >= RISEN * number(usual) + 1:
            return "rising", [now, usual], words
        return _without_rise(facts, now, usual, words)
    rate = facts.first("net.connections_per_s")
    open_now = list(facts.all("port.connections"))
    if rate is None:
        return "unknown", [], ""
    cites, held = [rate, *open_now], sum(number(fact) for fact in open_now)
    words = f"{number(rate):g} new connections a second and {held:g} open"
    if number(rate) >= MANY_CONNECTIONS_PER_S or held >= MANY_CONNECTIONS:
        return "rising", cites, words
    if number(rate) < FEW_CONNECTIONS_PER_S and held < FEW_CONNECTIONS:
        return "usual", cites, words
    return "unknown", cites, words


def _without_rise(facts: Facts, now: Fact, usual: Fact, words: str) -> tuple[Traffic, list[Fact], str]:
    """Requests as ever prove that a service spins only where the CPU is not as ever too: both may have been high for
    as long as anybody remembers."""
    before, busy_now = facts.first("metric.cpu_usual_percent"), facts.first("cpu.busy_percent")
    if number(now) >= 1 and before is not None and busy_now is not None and number(before) >= STEADY * number(busy_now):
        return "unknown", [now, usual, before], f"{words}, and the CPU is as busy as usual"
    return "usual", [now, usual, *([before] if before is not None else [])], words


def measured(facts: Facts) -> bool:
    """Whether a declared measure of requests tells of the traffic."""
    return facts.value("metric.requests_usual_per_s") is not None


def number(fact: Fact) -> float:
    """The fact's value, 0 where it is no number."""
    return float(fact.value) if isinstance(fact.value, int | float) and not isinstance(fact.value, bool) else 0.0


def _processes(facts: Facts) -> Iterator[Process]:
    """Busiest first."""
    for fact in sorted(facts.all("process.cpu_percent"), key=number, reverse=True):
        pid = fact.labels.get("pid", "")
        started, unit = facts.first("process.started", pid=pid), facts.first("process.unit", pid=pid)
        yield Process(
            pid=pid,
            name=fact.labels.get("name", ""),
            percent=number(fact),
            cites=tuple(item for item in (fact, started, unit) if item is not None),
            started=started.value if started is not None and isinstance(started.value, int) else None,
            unit=str(unit.value) if unit is not None else None,
        )
