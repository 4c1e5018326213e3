"""Why a service can't work though nothing is wrong with itself: its port is taken, what it depends on is down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agents.causes.strangers import stop_process_step, stop_unit_step
from graph.facts import Fact, Facts
from graph.kind import Cause, Match, Remedy
from graph.records import PlanStep, Resource

_TROUBLED = ("failed", "stopped", "starting")


@dataclass(frozen=True)
class Holder:
    """Who listens on a declared port. `unit` is None for a process of none."""

    port: str
    name: str
    pid: str
    started: int | None
    unit: str | None
    cites: tuple[Fact, ...]

    @property
    def words(self) -> str:
        return f"{self.name} (pid {self.pid}{f', {self.unit}' if self.unit else ''})"


# -- what speaks for a cause ---------------------------------------------------------------------------


def port_taken(facts: Facts, resource: Resource) -> Match | None:
    """It says so itself; or it is down and a stranger is seen on its port, whatever it has said yet."""
    for state in _troubled(facts):
        unit = state.labels["unit"]
        said = list(facts.where("journal.address_in_use", True, unit=unit))
        holder = foreign_holder(facts, unit)
        if holder is None and not said:
            continue
        if holder is None:
            return Match(0.96, [state, *said], f"{unit} cannot bind its port: another process has it", unit)
        if holder.unit in resource.services:
            if not said:
                continue
            end = f", a declared service: which of the two is to have port {holder.port}?"
        else:
            end = f" has port {holder.port}"
        return Match(0.97, [state, *said, *holder.cites], f"{unit} cannot bind its port: {holder.words}{end}", unit)
    return None


def dependency_down(facts: Facts, resource: Resource) -> Match | None:
    lost = list(facts.where("dependency.reachable", False))
    ill = [*_troubled(facts), *_failing_checks(facts)]
    if not lost or not ill:
        return None
    names = [fact.labels["dependency"] for fact in lost]
    said = _speaks_of(facts, names)
    hows = [fact for name in names for fact in facts.all("dependency.how", dependency=name)]
    incidents = [fact for name in names for fact in facts.all("dependency.incident", dependency=name)]
    words = ", ".join(f"{name} ({facts.value('dependency.how', dependency=name) or 'no connection'})" for name in names)
    summary = f"what it depends on can't be reached from the host: {words}"
    if incidents:
        summary += "; there is an incident of its own: " + ", ".join(str(fact.value) for fact in incidents)
    elif said:
        summary += "; the service says so itself"
    return Match(0.97 if said else 0.88, [*lost, *hows, *ill, *said, *incidents], summary, names[0])


def foreign_holder(facts: Facts, unit: str) -> Holder | None:
    """Who has a declared port and is not the unit itself."""
    for pid in facts.all("port.pid"):
        port = pid.labels["port"]
        name, started = facts.first("port.process", port=port), facts.first("port.started", port=port)
        held_by = facts.first("port.unit", port=port)
        if name is None or (held_by is not None and held_by.value == unit):
            continue
        if pid.value == facts.value("unit.main_pid", unit=unit):
            continue
        return Holder(
            port=port,
            name=str(name.value),
            pid=str(pid.value),
            started=started.value if started is not None and isinstance(started.value, int) else None,
            unit=str(held_by.value) if held_by is not None else None,
            cites=tuple(fact for fact in (pid, name, started, held_by) if fact is not None),
        )
    return None


def _troubled(facts: Facts) -> Iterator[Fact]:
    return (fact for fact in facts.all("unit.state") if fact.value in _TROUBLED)


def _failing_checks(facts: Facts) -> list[Fact]:
    return [
        fact for fact in facts.where("health.ok", False) if fact.labels.get("check", "").startswith(("http", "tcp"))
    ]


def _speaks_of(facts: Facts, names: list[str]) -> list[Fact]:
    """Words of the service, in its answers or its log, that name a dependency or say that it can't be reached."""
    told = [*facts.all("health.observed"), *facts.all("journal.last_error")]
    return [fact for fact in told if _names_one(str(fact.value), names)]


def _names_one(words: str, names: list[str]) -> bool:
    lower = words.lower()
    return any(name.lower() in lower for name in names) or any(
        sign in lower for sign in ("upstream", "could not connect to", "cannot connect to", "can't connect to")
    )


# -- what mends it ---------------------------------------------------------------------------------------


def _stop_holders_unit(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    holder = _stoppable(resource, target, facts)
    if holder is None or holder.unit is None:
        return ()
    step = stop_unit_step(
        facts,
        holder.unit,
        holder.pid,
        holder.name,
        holder.started,
        f"it has port {holder.port}, which {target} needs",
        f"port {holder.port} is free",
    )
    return (step, _start(target)) if step else ()


def _stop_holder(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    holder = _stoppable(resource, target, facts)
    if holder is None:
        return ()
    why = f"it has port {holder.port}, which {target} needs"
    step = stop_process_step(holder.pid, holder.name, holder.started, why, f"port {holder.port} is free")
    return (step, _start(target)) if step else ()


def _stoppable(resource: Resource, target: str | None, facts: Facts) -> Holder | None:
    holder = foreign_holder(facts, target or "")
    return None if holder is None or holder.unit in resource.services else holder


def _start(unit: str | None) -> PlanStep:
    return PlanStep(
        action="start_service", params={"unit": unit}, why="its port is free now", expect=f"{unit} runs and answers"
    )


STOP_HOLDERS_UNIT = Remedy(
    "stop_holders_unit",
    "stop the unit that holds the port, then start the service",
    _stop_holders_unit,
    ("stop_unit", "start_service"),
)
STOP_HOLDER = Remedy(
    "stop_holder",
    "end the process that holds the port, then start the service",
    _stop_holder,
    ("stop_process", "start_service"),
)


CAUSES: tuple[Cause, ...] = (
    Cause(
        "port_taken",
        "another process holds the port a unit needs",
        "service_down",
        port_taken,
        (STOP_HOLDERS_UNIT, STOP_HOLDER),
        human_must="find and stop the process that holds the port, or move one of the two, then start the unit",
    ),
    Cause(
        "dependency_down",
        "what the services depend on can't be reached; restarting them can't help",
        "service_down",
        dependency_down,
        human_must="mend what it depends on: nothing on this host is at fault, and nothing here was restarted",
    ),
)
