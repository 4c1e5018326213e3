"""Whether a host's CPU is no longer busy: measured on the host itself, beside what the alert's own condition says."""

from __future__ import annotations

from graph.records import Observation, Resource
from tools.clients.host import Hosts, HostUnreachable
from tools.evidence.process_sample import parse_sample
from tools.evidence.process_sampling import sampling_command

CRITERION = "cpu busy"
_SECONDS = 8.0


async def cpu_observations(hosts: Hosts, resource: Resource) -> list[Observation]:
    """One observation, `cpu busy`: pending at and above the resource's threshold. Never raises."""
    try:
        sample = parse_sample((await hosts.run(resource, sampling_command(), _SECONDS)).stdout)
    except HostUnreachable as error:
        status = "unknown" if error.how in ("auth", "host_key") else "pending"
        return [Observation.model_validate({"criterion": CRITERION, "status": status, "observed": str(error)})]
    if sample is None or sample.busy_percent is None:
        return [Observation(criterion=CRITERION, status="unknown", observed="the host does not tell of its CPU")]
    limit = resource.thresholds.cpu_percent
    words = f"{sample.busy_percent:.0f} % busy over 1 s, {limit:g} % at most"
    busiest = sample.processes[0] if sample.processes else None
    if sample.busy_percent < limit:
        return [Observation(criterion=CRITERION, status="pass", observed=words)]
    if busiest is not None:
        words += f"; most by {busiest.name} ({busiest.pid}): {busiest.percent:.0f} %"
    return [Observation(criterion=CRITERION, status="pending", observed=words)]
