"""Which boot a host is in, and since when: what tells a host that has rebooted from one that has not.

The kernel's boot id alone is shared by containers and their machine, so the start of process 1 goes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from graph.ports import Probe
from graph.records import Resource
from tools.clients.host import Hosts, HostUnreachable

COMMAND = "cat /proc/sys/kernel/random/boot_id; cat /proc/uptime; getconf CLK_TCK || echo 100; cat /proc/1/stat"
_CLOCKS_MAY_DIFFER_SECONDS = 5.0


@dataclass(frozen=True)
class Boot:
    """One boot of a host: `id` is equal within a boot; `age_seconds` is how long process 1 has run."""

    id: str
    age_seconds: float


async def boot_of(hosts: Hosts, resource: Resource, timeout: float = 8.0) -> Boot:
    """The boot the host is in now. Raises HostUnreachable, also where it tells something else."""
    result = await hosts.run(resource, COMMAND, timeout)
    try:
        return _parse(result.stdout)
    except (ValueError, IndexError) as error:
        raise HostUnreachable(
            f"{resource.key}: cannot tell its boot from {result.stdout[:200]!r} ({error})", "closed"
        ) from error


def _parse(output: str) -> Boot:
    boot_id, uptime, ticks_per_second, stat = output.strip().split("\n", 3)
    # The name in brackets may hold anything, so fields are counted from behind it: proc(5), field 22.
    start_ticks = int(stat.rpartition(") ")[2].split()[19])
    age = float(uptime.split()[0]) - start_ticks / int(ticks_per_second)
    return Boot(f"{boot_id.strip()}:{start_ticks}", max(0.0, age))


async def boot_baseline(hosts: Hosts, resource: Resource, now: datetime) -> dict[str, Any]:
    """`boot` (its id, or None with `boot_unknown` saying why) and `at`, for `probe_reboot`."""
    try:
        # mostly asked of a host that hangs, and the uptime tells as well: not worth a long wait
        boot = await boot_of(hosts, resource, timeout=2.0)
    except HostUnreachable as error:
        return {"boot": None, "boot_unknown": str(error), "at": now.isoformat()}
    return {"boot": boot.id, "at": now.isoformat()}


async def probe_reboot(hosts: Hosts, resource: Resource, baseline: Mapping[str, Any], now: datetime) -> Probe:
    """Whether the host has booted since the baseline was taken. Raises HostUnreachable."""
    boot = await boot_of(hosts, resource)
    before = baseline.get("boot")
    if before is not None:
        if boot.id != before:
            return Probe("took_effect", f"the host has booted since: {boot.age_seconds:.0f} s ago")
        return Probe("no_effect", f"the host is still in the same boot, up for {boot.age_seconds:.0f} s")
    since = now - datetime.fromisoformat(str(baseline["at"]))
    return _by_age(boot, since)


def _by_age(boot: Boot, since: timedelta) -> Probe:
    """For a host that did not answer when the baseline was taken."""
    if since < timedelta(0):
        return Probe("unknown", f"the host booted {boot.age_seconds:.0f} s ago, but our clock was set back since")
    if boot.age_seconds < since.total_seconds():
        return Probe("took_effect", f"the host booted {boot.age_seconds:.0f} s ago, after the action began")
    if boot.age_seconds > since.total_seconds() + _CLOCKS_MAY_DIFFER_SECONDS:
        return Probe("no_effect", f"the host has been up for {boot.age_seconds:.0f} s: since before the action began")
    return Probe("unknown", f"the host booted {boot.age_seconds:.0f} s ago, about when the action began")
