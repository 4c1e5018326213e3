"""Steps that stop what does not belong to a host's declared services: a unit where it has one, else the process."""

from __future__ import annotations

from graph.facts import Facts
from graph.records import PlanStep
from tools.actions.protected_units import STOPPABLE, is_protected


def stop_unit_step(
    facts: Facts, unit: str, pid: str, name: str, started: int | None, why: str, expect: str
) -> PlanStep | None:
    """None where the unit is none that may be stopped."""
    if not STOPPABLE.fullmatch(unit) or is_protected(unit) or started is None or not pid.isdigit():
        return None
    params = {
        "unit": unit,
        "pid": int(pid),
        "started": started,
        "name": name,
        "transient": facts.value("unit.transient", unit=unit) is True,
    }
    return PlanStep(action="stop_unit", params=params, why=why, expect=expect)


def stop_process_step(pid: str, name: str, started: int | None, why: str, expect: str) -> PlanStep | None:
    """None where it is not known which process that is."""
    if started is None or not pid.isdigit():
        return None
    params = {"pid": int(pid), "started": started, "name": name}
    return PlanStep(action="stop_process", params=params, why=f"{name} ({pid}): {why}", expect=expect)
