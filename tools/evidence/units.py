"""The state of the declared services, as their service manager tells it."""

from __future__ import annotations

from collections.abc import Sequence

from graph.facts import FactValue, fact_key
from graph.ports import Finding
from graph.records import Incident
from tools.evidence.context import (
    DETAILED_UNITS,
    HOST_SECONDS,
    SOURCE_SECONDS,
    EvidenceContext,
    ago,
    asked_of,
    raw_of,
    resource_of,
    text_of,
)
from tools.services import ManagerSilent, UnitState, manager_for

_RECENTLY_SECONDS = 900


class UnitsSource:
    """One command for all services. Running services are told briefly, those in trouble in detail."""

    name = "units"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts unit.state{unit} and more for those in trouble. Raises HostUnreachable, ManagerSilent."""
        resource = resource_of(incident)
        if not resource.services:
            return Finding("(no services declared)", "the resource declares no services", status="no_data")
        manager = manager_for(resource)
        command = manager.status_command(resource.services)
        result = await self._context.hosts.run(resource, command, HOST_SECONDS)
        states = list(manager.parse_status(result.stdout, resource.services).values())
        if all(state.state == "unknown" and not state.raw for state in states):
            said = (result.stderr or result.stdout).strip() or "nothing"
            raise ManagerSilent(f"{manager.name} told nothing of {', '.join(resource.services)}; it said: {said[:300]}")
        states.sort(key=lambda state: state.state == "running")
        facts: dict[str, FactValue] = {}
        for index, state in enumerate(states):
            facts |= unit_facts(state, detailed=index < DETAILED_UNITS)
        return Finding(asked_of(command), text_of(*_words(states)), facts, raw=raw_of(result))


def unit_facts(state: UnitState, detailed: bool = True) -> dict[str, FactValue]:
    """What is worth knowing of one unit: little while it runs."""
    values: dict[str, FactValue | None] = {"state": state.state}
    running = state.state == "running"
    since = state.changed_seconds_ago
    if detailed and not running:
        values |= {
            "substate": state.substate or None,
            "result": state.result,
            "exit_code": state.exit_code or None,
            "signal": state.signal,
            "enabled": state.enabled,
            "start_limit_hit": True if state.start_limit_hit else None,
            "oom_killed": True if state.result == "oom-kill" else None,
        }
    if detailed:
        recent = since is not None and (not running or since < _RECENTLY_SECONDS)
        values |= {
            "main_pid": state.main_pid,
            "restarts": state.restarts or None,
            "changed_seconds_ago": round(since) if recent and since is not None else None,
        }
    return {fact_key(f"unit.{name}", unit=state.unit): value for name, value in values.items() if value is not None}


def _words(states: Sequence[UnitState]) -> list[str]:
    """Those in trouble one by one, those that run together."""
    troubled = [_sentence(state) for state in states if state.state != "running"]
    running = [state.unit for state in states if state.state == "running"]
    return [*troubled, f"running: {', '.join(running)}" if running else ""]


def _sentence(state: UnitState) -> str:
    why = [f"result {state.result}"] if state.result not in (None, "success") else []
    why += [f"exit code {state.exit_code}"] if state.exit_code else []
    why += [f"killed by {state.signal}"] if state.signal else []
    why += [f"{state.restarts} restarts"] if state.restarts else []
    since = f" since {ago(state.changed_seconds_ago)}" if state.changed_seconds_ago is not None else ""
    detail = f": {state.detail}" if state.detail and not why else ""
    return f"{state}{since}" + (f" ({', '.join(why)})" if why else "") + detail
