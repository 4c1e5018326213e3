"""The service loses memory until the kernel kills it at its limit, again and again, until systemd gives it up.

Its own limit, not the host's: a host out of memory may spend minutes reading its programs from disk over and over
before its kernel kills anything. The leak is gone when the alert fires, as after a burst of bad requests: starting
mends it.
"""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

from evals.lab.declared import SERVICE_PORT
from evals.lab.disk import service_config
from evals.lab.faults.on_host import given_up, start_again, tell
from evals.lab.hosts import LabStage
from evals.lab.machine import Machine
from evals.lab.stage import Fault, LabError, StageHost

LEAK_MIB_PER_S = 60
LIMIT_MIB = 64
GIVING_UP = 30
"""Seconds in which systemd must have given the service up."""


def inject(stage: LabStage, host: StageHost) -> None:
    machine = stage.machine(host)
    since = time.clock_gettime(time.CLOCK_BOOTTIME)
    limited = None if machine.cgroups.pure_v2 else machine.cgroups.confinement(LIMIT_MIB)
    if limited is None:
        tell(stage, host, f"systemctl set-property --runtime {host.service} MemoryMax={LIMIT_MIB}M MemorySwapMax=0")
    machine.disk.write("etc/shopd.json", service_config(SERVICE_PORT, LEAK_MIB_PER_S))
    try:
        tell(stage, host, f"systemctl restart {host.service}")
        deadline = time.monotonic() + GIVING_UP
        while stage.run(host, given_up(stage, host.service)).returncode != 0:
            if limited is not None:
                _confine(machine, host.service, limited)
            if time.monotonic() > deadline:
                raise LabError(f"systemd on {host.name} did not give {host.service} up within {GIVING_UP} s")
            time.sleep(0.05)
    finally:
        _give_memory_back(stage, host)
    _check_it_was_the_kernel(stage, host, since)


def restore(stage: LabStage, host: StageHost) -> None:
    _give_memory_back(stage, host)
    start_again(stage, host)


def _confine(machine: Machine, service: str, limited: Path) -> None:
    for pid in machine.cgroups.processes():
        with contextlib.suppress(OSError):  # ended between the look and the move
            if Path(f"/proc/{pid}/comm").read_text().strip() == service:
                limited.write_text(str(pid))


def _give_memory_back(stage: LabStage, host: StageHost) -> None:
    machine = stage.machine(host)
    machine.disk.write("etc/shopd.json", service_config(SERVICE_PORT))
    if machine.cgroups.pure_v2:
        stage.run(host, f"systemctl set-property --runtime {host.service} MemoryMax=infinity")
    machine.cgroups.end_confinement()


def _check_it_was_the_kernel(stage: LabStage, host: StageHost, since: float) -> None:
    log = tell(stage, host, "dmesg").stdout
    kills = re.findall(rf"^\[ *([\d.]+)\] .*out of memory: Killed process \d+ \({host.service}\)", log, re.MULTILINE)
    if not any(float(at) >= since - 1 for at in kills):
        raise LabError(f"{host.service} on {host.name} went down, but the kernel's log names no OOM kill of it")


FAULT = Fault(
    name="service_oom_killed",
    issue_type="service_down",
    settings=("lab",),
    alertname="ServiceDown",
    expected_cause="oom_killed",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="the service leaks memory until the kernel kills it, and again at each restart",
    expected_actions=("restart_service",),
)
