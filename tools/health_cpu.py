"""Whether a host's CPU is no longer busy: measured on the host itself, beside what the alert's own condition says.

Two lines of /proc/stat, as it is asked again and again: who uses the CPU is for evidence to find out.
"""

from __future__ import annotations

from graph.records import Observation, Resource
from tools.clients.host import Hosts, HostUnreachable
from tools.evidence.process_sample import cpu_shares

CRITERION = "cpu busy"
COMMAND = "grep '^cpu ' /proc/stat; sleep 1; grep '^cpu ' /proc/stat"
_SECONDS = 6.0


async def cpu_observations(hosts: Hosts, resource: Resource) -> list[Observation]:
    """One observation, `cpu busy`: pending at and above the resource's threshold. Never raises."""
    try:
        said = (await hosts.run(resource, COMMAND, _SECONDS)).stdout
    except HostUnreachable as error:
        status = "unknown" if error.how in ("auth", "host_key") else "pending"
        return [Observation.model_validate({"criterion": CRITERION, "status": status, "observed": str(error)})]
    looks = [tuple(int(word) for word in row.split()[1:] if word.isdigit()) for row in said.splitlines()]
    busy = cpu_shares(*looks)["busy_percent"] if len(looks) == 2 and len(looks[0]) == len(looks[1]) else None
    if busy is None:
        return [Observation(criterion=CRITERION, status="unknown", observed="the host does not tell of its CPU")]
    limit = resource.thresholds.cpu_percent
    words = f"{busy:.0f} % busy over 1 s, below {limit:g} % is well"
    return [Observation(criterion=CRITERION, status="pass" if busy < limit else "pending", observed=words)]
