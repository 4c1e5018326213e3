"""Why a host's CPU is busy: somebody runs away, or there really is so much to do, or the machine gives too little."""

from __future__ import annotations

from agents.causes.cpu_use import (
    busy,
    culprit,
    declared_service,
    in_use,
    is_database,
    measured,
    number,
    throttled,
    traffic,
)
from agents.causes.service import BOOT_WAIT_SECONDS, RESTART_SERVICE
from agents.causes.strangers import stop_process_step, stop_unit_step
from graph.facts import Fact, Facts
from graph.kind import Cause, Match, Remedy
from graph.records import PlanStep, Resource

STORM_FORKS_PER_S = 100
STORM_TASKS = 100
STOLEN_PERCENT = 25


# -- what speaks for a cause ---------------------------------------------------------------------------


def runaway_process(facts: Facts, resource: Resource) -> Match | None:
    found = culprit(facts, resource)
    if found is None or declared_service(found, facts, resource) or is_database(found) or _storm(facts, found.unit):
        return None
    words = f"{found.words} uses {found.percent:g} % of the CPU and is no declared service"
    return Match(0.93, [*busy(facts, resource), *found.cites], words, found.target)


def fork_storm(facts: Facts, resource: Resource) -> Match | None:
    found = culprit(facts, resource)
    if found is None or declared_service(found, facts, resource) or is_database(found):
        return None
    signs = _storm(facts, found.unit)
    if not signs:
        return None
    told = ", ".join(f"{number(fact):.0f} {words}" for fact, words in signs)
    words = f"{found.words} keeps starting processes ({told}) that use {found.percent:g} % of the CPU"
    return Match(0.94, [*busy(facts, resource), *found.cites, *(fact for fact, _ in signs)], words, found.target)


def runaway_service(facts: Facts, resource: Resource) -> Match | None:
    found = culprit(facts, resource)
    service = declared_service(found, facts, resource) if found else None
    said, cites, words = traffic(facts)
    if found is None or service is None or is_database(found) or said != "usual":
        return None
    score = 0.92 if measured(facts) else 0.82
    summary = f"{service} uses {found.percent:g} % of the CPU though no more is asked of it than usual: {words}"
    return Match(score, [*busy(facts, resource), *found.cites, *cites], summary, service)


def legitimate_load(facts: Facts, resource: Resource) -> Match | None:
    # a larger machine costs money every hour: not for an alert whose limit is low
    full, (said, cites, words) = busy(facts, resource, beyond_doubt=True), traffic(facts)
    total = in_use(facts)
    used = [fact for fact in facts.all("unit.cpu_percent") if fact.labels["unit"] in resource.services]
    found = culprit(facts, resource)
    if not full or total is None or said != "rising" or (found is not None and is_database(found)):
        return None
    if found is not None and not used and (service := declared_service(found, facts, resource)):
        used, names = list(found.cites[:1]), service
    else:
        names = ", ".join(fact.labels["unit"] for fact in used)
    if sum(number(fact) for fact in used) < 0.5 * number(total):
        return None
    score = 0.92 if measured(facts) else 0.82
    return Match(score, [*full, *used, *cites], f"{names} has that much to do: {words}", resource.id)


def database_query(facts: Facts, resource: Resource) -> Match | None:
    found = culprit(facts, resource)
    if found is None or not is_database(found):
        return None
    words = f"the database server {found.words} uses {found.percent:g} % of the CPU"
    return Match(0.92, [*busy(facts, resource), *found.cites], words, found.target)


def cpu_steal(facts: Facts, resource: Resource) -> Match | None:
    stolen = facts.first("cpu.steal_percent")
    if stolen is None or number(stolen) < STOLEN_PERCENT:
        return None
    words = f"the machine beneath withholds {number(stolen):g} % of the CPU time"
    return Match(0.9, [stolen, *facts.all("cpu.busy_percent")], words, resource.id)


def cpu_throttled(facts: Facts, resource: Resource) -> Match | None:
    """Only where nobody in particular is to blame."""
    full, found = throttled(facts), culprit(facts, resource)
    stranger = found is not None and not declared_service(found, facts, resource)
    if not full or stranger or traffic(facts)[0] != "unknown":
        return None
    words = f"the host's CPU quota is used up in {number(full[0]):g} % of its periods"
    return Match(0.85, full, words, resource.id)


def _storm(facts: Facts, unit: str | None) -> list[tuple[Fact, str]]:
    """What says that this unit starts processes without end: many begin, and most of its CPU goes into such as end at
    once; or too many are there."""
    if unit is None:
        return []
    used, brief = facts.first("unit.cpu_percent", unit=unit), facts.first("unit.brief_percent", unit=unit)
    signs = [(fact, "at once") for fact in facts.all("unit.tasks", unit=unit) if number(fact) >= STORM_TASKS]
    if used is not None and brief is not None and number(brief) >= 0.5 * number(used):
        forks = [fact for fact in facts.all("cpu.forks_per_s") if number(fact) >= STORM_FORKS_PER_S]
        signs += [(fact, "new ones a second") for fact in forks]
        signs += [(brief, "% of the CPU by such as end at once")] if forks else []
    return signs


# -- what mends it ---------------------------------------------------------------------------------------


def _stop_unit(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    found = culprit(facts, resource)
    if found is None or found.target != target or found.process is None or found.unit is None:
        return ()
    process = found.process
    why = f"{found.unit} uses {found.percent:g} % of the CPU"
    step = stop_unit_step(facts, found.unit, process.pid, process.name, process.started, why, "the CPU is free again")
    return (step,) if step else ()


def _stop_process(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    found = culprit(facts, resource)
    if found is None or found.target != target or found.process is None:
        return ()
    process = found.process
    step = stop_process_step(
        process.pid, process.name, process.started, f"it uses {process.percent:g} % of the CPU", "the CPU is free again"
    )
    return (step,) if step else ()


def _resize(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    larger = next_type(resource, facts)
    if larger is None:
        return ()
    why = f"{facts.value('provider.instance_type')} is too small for what is asked of it"
    step = PlanStep(action="resize_instance", params={"instance_type": larger}, why=why, expect="the CPU is less busy")
    wait = PlanStep(
        action="wait",
        params={"seconds": BOOT_WAIT_SECONDS, "until": "answers"},
        why="the host needs time to boot",
        expect="the host answers over SSH",
    )
    return (step, wait)


def _add_instances(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    """One more; nothing where the group is as large as it is declared, or allowed, to be."""
    present, most = facts.value("provider.capacity"), facts.value("provider.capacity_most")
    declared = resource.scaling.max_capacity
    if not isinstance(present, int) or not isinstance(most, int) or declared is None or present < 1:
        return ()
    if present >= min(most, declared):
        return ()
    why = f"more is asked of the group than its {present} instances can do"
    params = {"present": present, "desired": present + 1}
    return (PlanStep(action="add_instances", params=params, why=why, expect="the load is shared by one more"),)


def next_type(resource: Resource, facts: Facts) -> str | None:
    """The next larger declared type, or None at the largest and where the present one is not declared."""
    types, now = resource.scaling.instance_types, facts.value("provider.instance_type")
    if now not in types:
        return None
    return next(iter(types[types.index(str(now)) + 1 :]), None)


STOP_UNIT = Remedy("stop_unit", "stop the unit it belongs to", _stop_unit, ("stop_unit",))
STOP_PROCESS = Remedy("stop_process", "end the process", _stop_process, ("stop_process",))
RESIZE = Remedy(
    "resize_instance", "change to the next larger declared type", _resize, ("resize_instance", "wait"), True
)
ADD_INSTANCES = Remedy("add_instances", "add an instance to its group", _add_instances, ("add_instances",), True)


CAUSES: tuple[Cause, ...] = (
    Cause(
        "runaway_process",
        "a process that is no declared service uses up the CPU",
        "high_cpu",
        runaway_process,
        (STOP_UNIT, STOP_PROCESS),
        human_must="the process named in the diagnosis can't be stopped by what is declared: look at it on the host",
    ),
    Cause(
        "fork_storm",
        "a unit starts processes without end",
        "high_cpu",
        fork_storm,
        (STOP_UNIT,),
        human_must="find what starts these processes, and end it with all its children",
    ),
    Cause(
        "runaway_service",
        "a declared service spins: it uses up the CPU while no more is asked of it than usual",
        "high_cpu",
        runaway_service,
        (RESTART_SERVICE,),
        human_must="find out what it spins on: it does so again after a restart",
    ),
    Cause(
        "legitimate_load",
        "the declared services have that much to do",
        "high_cpu",
        legitimate_load,
        (ADD_INSTANCES, RESIZE),
        human_must="the load is real and what is declared in `scaling` is used up: allow a larger type or more"
        " instances there, or shed load",
    ),
    Cause(
        "database_query",
        "a database server on this host uses up the CPU",
        "high_cpu",
        database_query,
        human_must="find the query that burns the CPU, through the Database resource of this host; its server is not"
        " restarted for it",
    ),
    Cause(
        "cpu_steal",
        "the machine beneath gives the host less CPU than it asks for",
        "high_cpu",
        cpu_steal,
        human_must="the hypervisor withholds CPU time: move the instance to another machine, or take a type that is not"
        " shared",
    ),
    Cause(
        "cpu_throttled",
        "the host's own CPU quota is used up, and nobody in particular does it",
        "high_cpu",
        cpu_throttled,
        (RESIZE,),
        human_must="the host's CPU quota is too small: raise it, or take a larger type",
    ),
)
