"""Why a service, or the host beneath it, is down."""

from __future__ import annotations

from collections.abc import Iterable

from agents.causes.freeing import CLEANING, full_mounts, make_it_larger, make_room
from graph.facts import Fact, Facts
from graph.kind import Cause, Match, Remedy
from graph.records import PlanStep, Resource

UNREACHABLE_BY_FAULT = ("timeout", "no_route", "refused", "closed")
ACCESS_REFUSED = ("auth", "host_key")
DOWN = ("failed", "stopped")
KNOWN_STATES = ("running", "stopped", "stopping", "terminated", "shutting-down")
BOOT_WAIT_SECONDS = 120


# -- what speaks for a cause ---------------------------------------------------------------------------


def host_stopped(facts: Facts, resource: Resource) -> Match | None:
    state = facts.first("provider.state")
    if state is None or state.value not in ("stopped", "stopping"):
        return None
    cites = [state, *_unreachable(facts)]
    return Match(0.97, cites, f"the provider says the instance is {state.value}", resource.id)


def host_hung(facts: Facts, resource: Resource) -> Match | None:
    """What is beneath it works: where it does not, the host is lost (see `provider`)."""
    state = facts.first("provider.state")
    lost = _unreachable(facts)
    if state is None or state.value != "running" or not lost or facts.value("provider.system_check") == "impaired":
        return None
    impaired = list(facts.where("provider.instance_check", "impaired"))
    silent = list(facts.where("metric.up", 0, job="node"))
    how = facts.value("host.unreachable_how") or "no answer"
    summary = f"the host does not answer ({how}) while the provider says it is running"
    if impaired:
        summary += " and its status check is impaired"
    return Match(0.95 if impaired or silent else 0.85, [*lost, state, *impaired, *silent], summary, resource.id)


def host_unreachable(facts: Facts, resource: Resource) -> Match | None:
    lost = _unreachable(facts)
    if not lost or facts.value("provider.state") in KNOWN_STATES:
        return None
    how = facts.value("host.unreachable_how") or "no answer"
    return Match(0.8, lost, f"the host does not answer ({how}) and no provider can tell or reboot it", resource.id)


def access_refused(facts: Facts, resource: Resource) -> Match | None:
    how = facts.first("host.unreachable_how")
    if how is None or how.value not in ACCESS_REFUSED:
        return None
    words = {"auth": "refuses our key", "host_key": "shows a host key that is not the known one"}
    return Match(0.95, [how], f"the host answers but {words[str(how.value)]}", resource.id)


def bad_configuration(facts: Facts, resource: Resource) -> Match | None:
    """Also while its manager still tries: no restart of ours does what those of the manager do not."""
    for state in _troubled_units(facts):
        unit = state.labels["unit"]
        if (line := facts.first("journal.config_error", unit=unit)) and state.value != "stopped":
            return Match(0.97, [state, line], f"{unit} fails on its configuration: {line.value}", unit)
    return None


def no_space_left(facts: Facts, resource: Resource) -> Match | None:
    """By its own words, or as it is down while nothing can be written."""
    full = list(full_mounts(facts))
    if match := _failed_with(facts, "journal.no_space", 0.96, "fails because the disk beneath it is full"):
        return Match(match.score, [*match.cites, *full], match.summary, match.target)
    for state in _troubled_units(facts) if full else ():
        unit, mount = state.labels["unit"], full[0].labels["mount"]
        if signs := _crashes(facts, unit):
            return Match(0.93, [state, *signs, *full], f"{unit} fails while {mount} is full to the last byte", unit)
    return None


def oom_killed(facts: Facts, resource: Resource) -> Match | None:
    for state in _troubled_units(facts):
        unit = state.labels["unit"]
        signs = [
            *facts.where("unit.result", "oom-kill", unit=unit),
            *facts.where("unit.oom_killed", True, unit=unit),
            *facts.where("journal.oom", True, unit=unit),
        ]
        if signs:
            return Match(0.95, [state, *signs], f"{unit} was killed by the OOM killer and is {state.value}", unit)
    return None


def process_crashed(facts: Facts, resource: Resource) -> Match | None:
    for state in _troubled_units(facts):
        unit = state.labels["unit"]
        if state.value == "stopped" and facts.value("journal.stopped_by_request", unit=unit) is not False:
            continue
        signs = _crashes(facts, unit)
        return Match(0.9, [state, *signs], f"{unit} crashed ({_how(signs)}) and is {state.value}", unit)
    return None


def service_stopped(facts: Facts, resource: Resource) -> Match | None:
    for state in facts.where("unit.state", "stopped"):
        unit = state.labels["unit"]
        asked = list(facts.where("journal.stopped_by_request", True, unit=unit))
        return Match(0.88, [state, *asked], f"{unit} is stopped; it did not crash", unit)
    return None


def service_hung(facts: Facts, resource: Resource) -> Match | None:
    running = list(facts.where("unit.state", "running"))
    silent = [
        fact for fact in facts.where("health.ok", False) if fact.labels.get("check", "").startswith(("http", "tcp"))
    ]
    if not running or not silent or _any_down(facts) or len(resource.services) != 1:
        return None
    if any(fact.value in range(200, 400) for fact in facts.all("net.local_status")):
        return None  # it answers on the host itself: what is ill lies between
    unit = running[0].labels["unit"]
    return Match(0.75, [*silent, running[0]], f"{unit} runs but does not answer: {silent[0].labels['check']}", unit)


def _unreachable(facts: Facts) -> list[Fact]:
    """Nothing where the host has told of its units in the same look: then it answers, if slowly, and must not be
    rebooted for it."""
    how = facts.first("host.unreachable_how")
    if facts.first("unit.state") is not None:
        return []
    if facts.value("host.reachable") is not False or how is None or how.value not in UNREACHABLE_BY_FAULT:
        return []
    return [*facts.where("host.reachable", False), how]


def _down_units(facts: Facts) -> Iterable[Fact]:
    return (fact for fact in facts.all("unit.state") if fact.value in DOWN)


def _troubled_units(facts: Facts) -> Iterable[Fact]:
    """Units that are down, or between two crashes."""
    for fact in facts.all("unit.state"):
        if fact.value in DOWN or (fact.value == "starting" and _crashes(facts, fact.labels["unit"])):
            yield fact


def _crashes(facts: Facts, unit: str) -> list[Fact]:
    """What says that the unit's last run did not end well."""
    return [
        fact
        for name in ("unit.result", "unit.signal", "unit.exit_code", "unit.start_limit_hit")
        for fact in facts.all(name, unit=unit)
        if fact.value not in ("", 0, False, "success")
    ]


def _any_down(facts: Facts) -> bool:
    return any(True for _ in _down_units(facts))


def _failed_with(facts: Facts, sign: str, score: float, words: str) -> Match | None:
    for state in _troubled_units(facts):
        unit = state.labels["unit"]
        if found := next(facts.where(sign, True, unit=unit), None):
            return Match(score, [state, found], f"{unit} {words}", unit)
    return None


def _how(signs: Iterable[Fact]) -> str:
    words = [(fact.name.removeprefix("unit.").replace("_", " "), fact.value) for fact in signs]
    shown = [name if value is True else f"{name} {value}" for name, value in words]
    return ", ".join(shown) or "no reason given"


# -- what mends it ---------------------------------------------------------------------------------------


def _restart(resource: Resource, unit: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    step = PlanStep(
        action="restart_service", params={"unit": unit}, why=f"{unit} is not working", expect=f"{unit} runs and answers"
    )
    return (step,)


def _start(resource: Resource, unit: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    step = PlanStep(
        action="start_service", params={"unit": unit}, why=f"{unit} is stopped", expect=f"{unit} runs and answers"
    )
    return (step,)


def _then_wait(action: str, why: str) -> tuple[PlanStep, ...]:
    wait = PlanStep(
        action="wait",
        params={"seconds": BOOT_WAIT_SECONDS, "until": "answers"},
        why="the host needs time to boot",
        expect="the host answers over SSH",
    )
    return (PlanStep(action=action, why=why, expect="the host boots"), wait)


def _soft_reboot(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    return _then_wait("soft_reboot", "the host does not answer")


def _hard_reboot(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    return _then_wait("hard_reboot", "the host did not come back by a soft reboot")


def _start_instance(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    return _then_wait("start_instance", "the instance is stopped")


def _make_room_and_restart(resource: Resource, unit: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    room = make_room(resource, facts)
    # where the disk has room by now, its service need only be started
    return (*room, *_restart(resource, unit, facts)) if room or not facts.first("disk.over") else ()


def _enlarge_and_restart(resource: Resource, unit: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    room = make_it_larger(resource, facts)
    return (*room, *_restart(resource, unit, facts)) if room else ()


def _fail_over(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    if resource.failover is None or facts.value("provider.serves") is False:
        return ()
    step = PlanStep(
        action="fail_over",
        why=f"the host is lost to its clients, and {resource.failover.to} stands by",
        expect=f"{resource.failover.to} takes the traffic",
    )
    return (step,)


RESTART_SERVICE = Remedy("restart_service", "restart the service", _restart, ("restart_service",))
START_SERVICE = Remedy("start_service", "start the service", _start, ("start_service",))
SOFT_REBOOT = Remedy(
    "soft_reboot", "reboot through the provider, then wait", _soft_reboot, ("soft_reboot", "wait"), needs_provider=True
)
HARD_REBOOT = Remedy(
    "hard_reboot", "stop by force and start, then wait", _hard_reboot, ("hard_reboot", "wait"), needs_provider=True
)
FAIL_OVER = Remedy(
    "fail_over", "move the traffic to the declared standby", _fail_over, ("fail_over",), needs_provider=True
)
START_INSTANCE = Remedy(
    "start_instance", "start the instance, then wait", _start_instance, ("start_instance", "wait"), needs_provider=True
)
MAKE_ROOM = Remedy(
    "make_room",
    "remove what nobody would miss, then restart the service",
    _make_room_and_restart,
    (*CLEANING, "restart_holder", "restart_service"),
)
ENLARGE = Remedy(
    "enlarge",
    "grow the volume, then restart the service",
    _enlarge_and_restart,
    ("expand_volume", "restart_service"),
    needs_provider=True,
)


CAUSES: tuple[Cause, ...] = (
    Cause(
        "host_stopped",
        "the instance is stopped at the provider",
        "service_down",
        host_stopped,
        (START_INSTANCE, FAIL_OVER),
        human_must="it can't be started: look at it at the provider; traffic moved to its standby stays there",
    ),
    Cause(
        "host_hung",
        "the host does not answer though the provider says it runs",
        "service_down",
        host_hung,
        (SOFT_REBOOT, FAIL_OVER, HARD_REBOOT),
        human_must="look at its console and at the provider: it does not come back by being rebooted",
    ),
    Cause(
        "host_unreachable",
        "the host does not answer and no provider can help",
        "service_down",
        host_unreachable,
        human_must="no provider can reboot this host: look at its console or network",
    ),
    Cause(
        "access_refused",
        "the host is up but does not let us in",
        "service_down",
        access_refused,
        human_must="the host refuses our access: check the key and known_hosts of this resource before trusting it",
    ),
    Cause(
        "bad_configuration",
        "a unit fails on its configuration; restarting can't help",
        "service_down",
        bad_configuration,
        human_must="a restart can't mend a configuration: correct the line named in the diagnosis",
    ),
    Cause(
        "no_space_left",
        "a unit fails because the disk beneath it is full",
        "service_down",
        no_space_left,
        (MAKE_ROOM, ENLARGE),
        human_must="free space on the disk named in the evidence, then start the unit",
    ),
    Cause(
        "oom_killed",
        "a unit's process was killed by the OOM killer",
        "service_down",
        oom_killed,
        (RESTART_SERVICE,),
        human_must="give the service more memory or find what takes it: it is killed again",
    ),
    Cause(
        "process_crashed",
        "a unit's process crashed or was killed",
        "service_down",
        process_crashed,
        (RESTART_SERVICE,),
        human_must="find out from its log and core dump why it crashes: it does not stay up",
        told_apart_by=("journal",),
    ),
    Cause(
        "service_stopped",
        "a unit was stopped",
        "service_down",
        service_stopped,
        (START_SERVICE,),
        human_must="find out who or what stops it: it does not stay up",
        told_apart_by=("journal",),
    ),
    Cause(
        "service_hung",
        "a unit runs but does not answer",
        "service_down",
        service_hung,
        (RESTART_SERVICE,),
        human_must="find out what it waits for: a restart does not help",
    ),
)
