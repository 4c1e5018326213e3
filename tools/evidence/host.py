"""Whether the host answers at all, and since when and under what load it runs."""

from __future__ import annotations

import asyncio

from graph.facts import FactValue
from graph.ports import Finding
from graph.records import Incident, Resource
from tools.actions.boots import COMMAND, Boot, boot_of
from tools.clients.host import HostUnreachable
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

_LOAD = "cat /proc/loadavg"


class HostSource:
    """The one source for which a silent host is not a failure to see, but what is seen."""

    name = "host"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts host.reachable, and host.unreachable_how or host.boot_id, host.uptime_seconds, host.load1."""
        resource = resource_of(incident)
        asked = asked_of(f"{_LOAD}; {COMMAND}")
        try:
            load, boot = await asyncio.gather(
                self._context.hosts.run(resource, _LOAD, HOST_SECONDS), self._boot(resource)
            )
        except HostUnreachable as error:
            return _unreachable(resource, asked, error)
        facts: dict[str, FactValue] = {"host.reachable": True}
        load1 = load.stdout.split()[0] if load.stdout.split() else ""
        if load1.replace(".", "", 1).isdigit():
            facts["host.load1"] = float(load1)
        if boot is None:
            return Finding(asked, text_of("it answers, but does not tell its boot"), facts, raw=raw_of(load))
        facts |= {"host.boot_id": boot.id, "host.uptime_seconds": round(boot.age_seconds)}
        text = text_of(f"it answers; up for {ago(boot.age_seconds)}", f"load {load1}" if load1 else "")
        return Finding(asked, text, facts, raw=whole(f"{raw_of(load)}\nboot {boot.id}, age {boot.age_seconds:.1f} s"))

    async def _boot(self, resource: Resource) -> Boot | None:
        try:
            return await boot_of(self._context.hosts, resource, HOST_SECONDS)
        except HostUnreachable:  # told by the other command, which fails as well where the host is silent
            return None


def _unreachable(resource: Resource, asked: str, error: HostUnreachable) -> Finding:
    facts: dict[str, FactValue] = {"host.reachable": False, "host.unreachable_how": error.how}
    text = f"{resource.address} does not answer ({error.how}): {line(str(error))}"
    return Finding(asked, text_of(text), facts, raw=whole(str(error)))
