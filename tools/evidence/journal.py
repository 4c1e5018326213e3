"""The last log lines of each declared service, and what they say of why it ended."""

from __future__ import annotations

from collections.abc import Mapping

from graph.facts import FactValue, fact_key
from graph.ports import Finding
from graph.records import Incident, Resource
from tools.evidence.context import (
    DETAILED_UNITS,
    HOST_SECONDS,
    MAX_RAW_CHARS,
    SOURCE_SECONDS,
    EvidenceContext,
    asked_of,
    line,
    raw_of,
    resource_of,
    text_of,
)
from tools.evidence.log_signs import LogSigns, signs_in
from tools.services import manager_for
from tools.services.units import sudo

_LINES = 60
_MARK = "-- log of "


class JournalSource:
    """One command for the logs of all services."""

    name = "journal"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts journal.…{unit}, only those that say something. Raises HostUnreachable."""
        resource = resource_of(incident)
        if not resource.services:
            return Finding("(no services declared)", "the resource declares no services", status="no_data")
        command = logs_command(resource)
        result = await self._context.hosts.run(resource, command, HOST_SECONDS)
        logs = {unit: text for unit, text in logs_of(result.stdout, resource).items() if text.strip()}
        if not logs:
            text = "the logs gave no lines; the user may need the group systemd-journal"
            return Finding(asked_of(command), text, status="no_data", raw=raw_of(result))
        facts: dict[str, FactValue] = {}
        words = []
        for unit, text in list(logs.items())[:DETAILED_UNITS]:
            signs = signs_in(text)
            facts |= journal_facts(unit, signs)
            words.append(f"{unit}: {_sentence(unit, signs, text)}")
        return Finding(asked_of(command), text_of(*words), facts, raw=raw_of(result))


def logs_command(resource: Resource) -> str:
    """One shell line that tells the last lines of every declared service, each behind a mark."""
    manager = manager_for(resource)
    each = max(4096, MAX_RAW_CHARS // len(resource.services))
    parts = []
    for index, unit in enumerate(resource.services):
        asked = readable(resource, manager.logs_command(unit, _LINES))
        parts.append(f"echo '{_MARK}{index}'; {{ {asked}; }} 2>&1 | tail -c {each}; echo")
    return "; ".join(parts)


def readable(resource: Resource, asked: str) -> str:
    """A manager's command for logs, asked again with the rights of root where it showed nothing and we have them."""
    if manager_for(resource).name != "systemd" or not sudo(resource):
        return asked
    # journalctl shows nothing to those who may not read it, and does not say so.
    return f"{asked} | grep . || {sudo(resource)}{asked}"


def logs_of(output: str, resource: Resource) -> Mapping[str, str]:
    """Unit → its lines, from the answer to `logs_command`. A mark counts only in its turn, as logs are hostile."""
    found = {}
    rest = output
    for index, unit in enumerate(resource.services):
        _, _, rest = rest.partition(f"{_MARK}{index}\n")
        mine, next_mark, _ = rest.partition(f"\n{_MARK}{index + 1}\n")
        found[unit] = mine
        rest = rest[len(mine) + 1 :] if next_mark else ""
    return found


def journal_facts(unit: str, signs: LogSigns) -> dict[str, FactValue]:
    """Only what the lines speak of, redacted."""
    values: dict[str, FactValue | None] = {
        "config_error": line(signs.config_error, 200) if signs.config_error else None,
        "last_error": line(signs.last_error) if signs.last_error and signs.last_error != signs.config_error else None,
        "oom": True if signs.oom else None,
        "address_in_use": True if signs.address_in_use else None,
        "no_space": True if signs.no_space else None,
        "data_damaged": True if signs.data_damaged else None,
        "stopped_by_request": signs.stopped_by_request,
    }
    return {fact_key(f"journal.{name}", unit=unit): value for name, value in values.items() if value is not None}


def _sentence(unit: str, signs: LogSigns, text: str) -> str:
    if signs.config_error:
        return "complains of its configuration"  # the fact holds the line
    if signs.oom:
        return "killed by the OOM killer"
    if signs.address_in_use:
        return "its address is in use"
    if signs.no_space:
        return "no space left on the device"
    if signs.data_damaged:
        return "it can't open its own data"
    if signs.stopped_by_request:
        return "stopped by request"
    if signs.ended:
        return line(signs.ended.removeprefix(f"{unit}.service: "), 140)
    last = [item for item in text.splitlines() if item.strip()]
    return f"last line: {line(last[-1], 140)}"
