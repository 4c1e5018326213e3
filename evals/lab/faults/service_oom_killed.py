"""The service loses memory until the kernel kills it at the host's limit, again and again, until systemd gives it up.

The leak is gone when the alert fires, as after a burst of bad requests, so that starting the service mends it.
"""

from __future__ import annotations

import re

from evals.lab.disk import service_config
from evals.lab.faults.on_host import given_up, start_again, tell
from evals.lab.hosts import SERVICE_PORT, LabStage
from evals.lab.stage import Fault, LabError, StageHost

LEAK_MIB_PER_S = 200
GIVING_UP = 40
"""Seconds in which systemd must have given the service up."""


def inject(stage: LabStage, host: StageHost) -> None:
    stage.machine(host).disk.write("etc/shopd.json", service_config(SERVICE_PORT, LEAK_MIB_PER_S))
    try:
        tell(stage, host, f"systemctl restart {host.service}")
        tell(
            stage,
            host,
            f"end=$(($(date +%s) + {GIVING_UP})); until {given_up(stage, host.service)}; do "
            "[ $(date +%s) -lt $end ] || exit 1; sleep 0.1; done",
            timeout=GIVING_UP + 10,
        )
    finally:
        stage.machine(host).disk.write("etc/shopd.json", service_config(SERVICE_PORT))
    # the world is asked whether it really was the kernel
    killed = tell(stage, host, "dmesg | tail -n 200").stdout
    if not re.search(rf"Memory cgroup out of memory: Killed process \d+ \({host.service}\)", killed):
        raise LabError(f"{host.service} on {host.name} went down, but the kernel's log names no OOM kill of it")


def restore(stage: LabStage, host: StageHost) -> None:
    stage.machine(host).disk.write("etc/shopd.json", service_config(SERVICE_PORT))
    start_again(stage, host)


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
)
