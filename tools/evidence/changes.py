"""What changed lately: boots, services, packages, and what happened to this resource before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from graph.facts import FactValue
from graph.ports import Finding
from graph.records import Incident, Resource
from tools.clients.host import CommandResult, HostUnreachable
from tools.evidence.context import (
    HOST_SECONDS,
    SOURCE_SECONDS,
    EvidenceContext,
    ago,
    asked_of,
    line,
    raw_of,
    resource_of,
    text_of,
    whole,
)
from tools.services import UnitState, manager_for

_DPKG_LOG = "/var/log/dpkg.log"
_PACKAGES_MARK = "-- packages\n"
_LAST_MARK = "-- last\n"
_UNITS_MARK = "-- units\n"
_RECENT_UNITS_SECONDS = 24 * 3600


class ChangesSource:
    """One command on the host; the resource's own history comes from our records, also where the host is silent."""

    name = "changes"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts change.booted_seconds_ago, change.packages_seconds_ago. Raises HostUnreachable where there is no
        history to tell either."""
        resource = resource_of(incident)
        command = changes_command(resource)
        history = await self._recent(resource)
        try:
            result = await self._context.hosts.run(resource, command, HOST_SECONDS)
        except HostUnreachable as error:
            if not history:
                raise
            told = text_of(f"the host does not tell ({error.how})", *_told(history))
            return Finding(asked_of(command), told, raw=whole("\n".join((str(error), *history))))
        facts, words = _of_host(result, resource)
        raw = "\n".join((raw_of(result), *(whole(item) for item in history)))
        return Finding(asked_of(command), text_of(*words, *_told(history)), facts, raw=raw)

    async def _recent(self, resource: Resource) -> Sequence[str]:
        return () if self._context.history is None else await self._context.history.recent(resource.key)


def changes_command(resource: Resource) -> str:
    """Age of process 1, last package changes, boots and shutdowns, unit states; bounded, and any may be missing."""
    parts = [
        "ps -o etimes= -p 1 2>/dev/null",
        f"echo '{_PACKAGES_MARK.strip()}'",
        "date '+%F %T'",
        f"tail -n 200 {_DPKG_LOG} 2>/dev/null | grep -E ' (install|upgrade|remove|purge) ' | tail -n 5",
        f"echo '{_LAST_MARK.strip()}'",
        "last -x -n 6 reboot shutdown 2>/dev/null | head -c 1000",
    ]
    if resource.services:
        parts += [f"echo '{_UNITS_MARK.strip()}'", manager_for(resource).status_command(resource.services)]
    return "; ".join(parts)


def _of_host(result: CommandResult, resource: Resource) -> tuple[dict[str, FactValue], list[str]]:
    boot, _, rest = result.stdout.partition(_PACKAGES_MARK)
    packages, _, rest = rest.partition(_LAST_MARK)
    _, _, units = rest.partition(_UNITS_MARK)
    facts: dict[str, FactValue] = {}
    words = []
    if boot.strip().isdigit():
        facts["change.booted_seconds_ago"] = int(boot)
        words.append(f"booted {ago(int(boot))} ago")
    states = manager_for(resource).parse_status(units, resource.services) if resource.services else {}
    words += _of_units(list(states.values()))
    seconds, sentence = last_package_change(packages)
    if seconds is not None:
        facts["change.packages_seconds_ago"] = round(seconds)
        words.append(f"{ago(seconds)} ago: {sentence}")
    return facts, words


def last_package_change(text: str) -> tuple[float | None, str]:
    """Seconds since the last line of dpkg.log, and what it says; both times are the host's own. First line: now."""
    now, _, log = text.partition("\n")
    entries = [entry for entry in log.splitlines() if entry.strip()]
    if not entries:
        return None, ""
    day, _, rest = entries[-1].partition(" ")
    time, _, says = rest.partition(" ")
    try:
        seconds = (_host_time(now) - _host_time(f"{day} {time}")).total_seconds()
    except ValueError:
        return None, ""
    return max(0.0, seconds), line(says, 80)


def _host_time(text: str) -> datetime:
    # Two times of one host are only compared with each other, so its zone does not matter.
    return datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _of_units(states: Sequence[UnitState]) -> list[str]:
    """Units that changed lately, newest first."""
    dated = [(state.changed_seconds_ago, state) for state in states if state.changed_seconds_ago is not None]
    recent = sorted((item for item in dated if item[0] < _RECENT_UNITS_SECONDS), key=lambda item: item[0])
    return [f"{state.unit} {state.state} since {ago(seconds)}" for seconds, state in recent[:2]]


def _told(history: Sequence[str]) -> list[str]:
    if not history:
        return ["no earlier incident is on record"]
    return [f"before: {line(history[0], 100)}" + (f" and {len(history) - 1} more" if len(history) > 1 else "")]
