"""How full the disks are and, of those in trouble, what fills them: what nobody would miss told apart from data."""

from __future__ import annotations

from collections.abc import Sequence

from graph.facts import FactValue, fact_key
from graph.ports import Finding, PermanentError
from graph.records import Incident, Resource
from tools.clients.host import CommandResult
from tools.clients.providers.provider import ProviderError
from tools.evidence.context import (
    HOST_SECONDS,
    EvidenceContext,
    asked_of,
    line,
    raw_of,
    resource_of,
    text_of,
)
from tools.evidence.disk_commands import roots_of, trouble_command, usage_command
from tools.evidence.disk_facts import facts_of_trouble
from tools.evidence.disk_usage import FileSystem, Usage, parse_usage

_TROUBLE_SECONDS = 40.0
_MOST_MOUNTS = 4
_MOST_IN_TROUBLE = 2


class DiskSource:
    """`df` for all; a closer look only at those beyond the resource's thresholds, or named by an alert."""

    name = "disk"
    deadline_seconds = HOST_SECONDS + _TROUBLE_SECONDS + 2

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts disk.used_percent{mount}, disk.inodes_used_percent{mount}, and of those in trouble disk.over{mount} and
        what fills them (see `disk_facts`). Raises HostUnreachable."""
        resource = resource_of(incident)
        command = usage_command(resource)
        result = await self._context.hosts.run(resource, command, HOST_SECONDS)
        usage = parse_usage(result.stdout, resource)
        if not usage.file_systems:
            said = line(result.stderr or "nothing")
            text = text_of(f"the host did not tell: {said}")
            return Finding(asked_of(command), text, status="no_data", raw=raw_of(result))
        named = {alert.labels.get("mountpoint", "") for alert in incident.alerts if alert.status == "firing"}
        trouble = usage.in_trouble(resource.thresholds, named)[:_MOST_IN_TROUBLE]
        facts = _plain_facts(usage, trouble)
        answers = [result]
        for fs in trouble:
            facts |= _trouble_facts(fs, resource)
        if trouble:
            closer = await self._look_closer(resource, usage, trouble)
            answers.append(closer)
            facts |= facts_of_trouble(closer.stdout, usage, trouble, resource)
            facts |= await self._volumes(resource, trouble)
        return Finding(asked_of(command), text_of(*_words(usage, trouble)), facts, raw=raw_of(*answers))

    async def _look_closer(self, resource: Resource, usage: Usage, trouble: Sequence[FileSystem]) -> CommandResult:
        mounts = [fs.mount for fs in trouble]
        roots = [root for root in roots_of(resource) if usage.mount_of(root) in mounts]
        wants_inodes = any(fs.over_inodes(resource.thresholds) for fs in trouble)
        command = trouble_command(resource, mounts, roots, wants_inodes)
        return await self._context.hosts.run(resource, command, _TROUBLE_SECONDS)

    async def _volumes(self, resource: Resource, trouble: Sequence[FileSystem]) -> dict[str, FactValue]:
        """What the provider says of declared volumes; nothing where it does not say."""
        provider = self._context.providers.get(resource.provider.name)
        if provider is None:
            return {}
        facts: dict[str, FactValue] = {}
        for volume in resource.volumes:
            if volume.volume_id and any(fs.mount == volume.mount for fs in trouble):
                try:
                    status = await provider.volume(resource, volume_id=volume.volume_id)
                except (ProviderError, PermanentError):  # told by the provider's own source, where it matters
                    continue
                facts[fact_key("disk.volume_gib", mount=volume.mount)] = status.size_gib
                if status.modifying:
                    facts[fact_key("disk.volume_modifying", mount=volume.mount)] = True
        return facts


def _plain_facts(usage: Usage, trouble: Sequence[FileSystem]) -> dict[str, FactValue]:
    rest = sorted((fs for fs in usage.file_systems if fs not in trouble), key=lambda fs: -fs.used_percent)
    facts: dict[str, FactValue] = {}
    for fs in (*trouble, *rest)[:_MOST_MOUNTS]:
        facts[fact_key("disk.used_percent", mount=fs.mount)] = fs.used_percent
        if fs in trouble or fs.inodes_used_percent >= 50:
            facts[fact_key("disk.inodes_used_percent", mount=fs.mount)] = fs.inodes_used_percent
    return facts


def _trouble_facts(fs: FileSystem, resource: Resource) -> dict[str, FactValue]:
    over = "inodes" if fs.over_inodes(resource.thresholds) else "bytes"
    values: dict[str, FactValue] = {
        "over": over if over == "inodes" or fs.over_bytes(resource.thresholds) else "alert",
        "size_mib": fs.size >> 20,
        "avail_mib": fs.avail >> 20,
        "file_system": fs.kind,
        "device": line(fs.source, 60),
    }
    return {fact_key(f"disk.{name}", mount=fs.mount): value for name, value in values.items()}


def _words(usage: Usage, trouble: Sequence[FileSystem]) -> list[str]:
    told = [
        f"{fs.mount} {fs.used_percent:g} % full, {fs.avail >> 20} MiB free, inodes {fs.inodes_used_percent:g} %"
        for fs in trouble
    ]
    well = [f"{fs.mount} {fs.used_percent:g} %" for fs in usage.file_systems if fs not in trouble]
    return [*told, f"otherwise {', '.join(well[:4])}" if well else ""]
