"""Who uses the host's CPU: measured over a second, by process and by unit; and how much is asked of the host."""

from __future__ import annotations

from collections.abc import Mapping

from graph.facts import FactValue, fact_key
from graph.ports import Finding
from graph.records import Incident, IssueType
from tools.evidence.context import (
    HOST_SECONDS,
    SOURCE_SECONDS,
    EvidenceContext,
    ago,
    line,
    raw_of,
    resource_of,
    text_of,
)
from tools.evidence.process_sample import Process, Sample, UnitUse, parse_sample
from tools.evidence.process_sampling import CALM, sampling_command
from tools.services.status import declared_names

_LEAST_PERCENT = 5.0
"""Who uses less is not told."""
_MOST_PROCESSES = 3
_MOST_UNITS = 3
_ASKED = "two looks at /proc/stat and /proc/PID/stat, 1 s apart; systemctl show of the busiest units"


_OF_THE_CPU: set[IssueType] = {"high_cpu", "connection_timeout", "unknown"}
"""Troubles for which a second's measuring is worth its time; for others only where the host's load is high."""


class ProcessesSource:
    """One command of about a second. Units are told as the resource spells them, where it declares them."""

    name = "processes"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts cpu.…, net.…, and of the busiest process.…{pid} and unit.…{unit}. Raises HostUnreachable."""
        resource = resource_of(incident)
        unless_calm = not _OF_THE_CPU & set(incident.issue_types)
        result = await self._context.hosts.run(resource, sampling_command(unless_calm), HOST_SECONDS)
        if result.stdout.strip() == CALM:
            return Finding(_ASKED, "the host's load is below its CPUs: not measured further", status="no_data")
        sample = parse_sample(result.stdout)
        if sample is None:
            said = line(result.stderr or result.stdout or "nothing")
            return Finding(_ASKED, f"the host's /proc could not be read: {said}", status="no_data", raw=raw_of(result))
        busiest = [process for process in sample.processes if process.percent >= _LEAST_PERCENT][:_MOST_PROCESSES]
        units = [unit for unit in sample.units if unit.percent >= _LEAST_PERCENT][:_MOST_UNITS]
        facts = host_facts(sample)
        names = declared_names(resource)
        for process in busiest:
            facts |= process_facts(process, sample, names)
        for unit in units:
            facts |= unit_facts(unit, names)
        return Finding(_ASKED, text_of(*_words(sample, busiest)), facts, raw=raw_of(result))


def host_facts(sample: Sample) -> dict[str, FactValue]:
    """Of the whole host; a figure of nothing is left out where nothing is usual."""
    told: dict[str, FactValue | None] = {
        "cpu.busy_percent": sample.busy_percent,
        "cpu.steal_percent": sample.steal_percent or None,
        "cpu.throttled_percent": sample.throttled_percent or None,
        "cpu.used_percent": sample.used_percent if sample.throttled_percent else None,
        "cpu.count": sample.cpus or None,
        "cpu.load_per_cpu": round(sample.load1 / sample.cpus, 2) if sample.load1 is not None and sample.cpus else None,
        "cpu.processes": sample.total_processes,
        "cpu.forks_per_s": sample.forks_per_s,
        "net.connections_per_s": sample.connections_per_s,
        "net.segments_per_s": sample.segments_per_s,
    }
    return {name: value for name, value in told.items() if value is not None}


def process_facts(process: Process, sample: Sample, names: Mapping[str, str]) -> dict[str, FactValue]:
    """Its share of the host's whole CPU, and what proves that it still is the same one: start and name."""
    pid, age = str(process.pid), sample.age_of(process)
    facts: dict[str, FactValue] = {
        fact_key("process.cpu_percent", pid=pid, name=line(process.name, 64)): process.percent,
        fact_key("process.started", pid=pid): process.started,
        fact_key("process.parent", pid=pid): process.parent,
    }
    if process.unit:
        facts[fact_key("process.unit", pid=pid)] = names.get(process.unit, process.unit)
    if process.uid is not None:
        facts[fact_key("process.uid", pid=pid)] = process.uid
    if age is not None:
        facts[fact_key("process.age_seconds", pid=pid)] = round(age)
    return facts


def unit_facts(unit: UnitUse, names: Mapping[str, str]) -> dict[str, FactValue]:
    """Its processes' share of the host's whole CPU, and how many they are."""
    name = names.get(unit.unit, unit.unit)
    facts: dict[str, FactValue] = {
        fact_key("unit.cpu_percent", unit=name): unit.percent,
        fact_key("unit.tasks", unit=name): unit.tasks,
    }
    if unit.brief_percent >= 1:
        facts[fact_key("unit.brief_percent", unit=name)] = unit.brief_percent
    if unit.main_pid:
        facts[fact_key("unit.main_pid", unit=name)] = unit.main_pid
    if unit.transient is not None and name == unit.unit:
        facts[fact_key("unit.transient", unit=name)] = unit.transient
    return facts


def _words(sample: Sample, busiest: list[Process]) -> list[str]:
    figures = [f"CPU {sample.busy_percent:g} % busy" if sample.busy_percent is not None else ""]
    figures += [f"{sample.steal_percent:g} % stolen" if sample.steal_percent else ""]
    figures += [f"throttled in {sample.throttled_percent:g} % of periods" if sample.throttled_percent else ""]
    return [", ".join(filter(None, figures)), *(_sentence(process, sample) for process in busiest)]


def _sentence(process: Process, sample: Sample) -> str:
    age = sample.age_of(process)
    of = f" of {process.unit}" if process.unit else ""
    since = f", since {ago(age)}" if age is not None else ""
    return f"{process.name} ({process.pid}){of} {process.percent:g} %{since}"
