"""Whether a resource's disks have room again: what a heal of a full disk is judged by, besides its alert."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from graph.records import Observation, Resource
from tools.clients.host import Hosts, HostUnreachable
from tools.evidence.disk_commands import usage_command
from tools.evidence.disk_usage import FileSystem, parse_usage
from tools.redaction import redact

HOST_SECONDS = 5.0


def disk_room(hosts: Hosts) -> Callable[[Resource], Awaitable[Sequence[Observation]]]:
    """`disk_observations` of these hosts, as `tools.health.OfIssue` takes it."""

    async def look(resource: Resource) -> Sequence[Observation]:
        return await disk_observations(hosts, resource)

    return look


async def disk_observations(hosts: Hosts, resource: Resource) -> list[Observation]:
    """`disk /`, …: one for each disk of the resource. Beyond its threshold it is pending, as it may still be emptied.
    Never raises."""
    try:
        result = await hosts.run(resource, usage_command(resource), HOST_SECONDS)
    except HostUnreachable as error:
        status = "unknown" if error.how in ("auth", "host_key") else "pending"
        return [Observation.model_validate({"criterion": "disk", "status": status, "observed": redact(str(error))})]
    usage = parse_usage(result.stdout, resource)
    if not usage.file_systems:
        said = redact(result.stderr.strip() or "nothing")
        return [Observation(criterion="disk", status="unknown", observed=f"the host did not tell: {said}")]
    return [_observation(fs, resource) for fs in usage.file_systems]


def _observation(fs: FileSystem, resource: Resource) -> Observation:
    limits = resource.thresholds
    over = fs.over_bytes(limits) or fs.over_inodes(limits)
    return Observation(
        criterion=f"disk {fs.mount}",
        status="pending" if over else "pass",
        observed=f"{fs.used_percent:g} % full, {fs.avail >> 20} MiB free, inodes {fs.inodes_used_percent:g} % used",
    )
