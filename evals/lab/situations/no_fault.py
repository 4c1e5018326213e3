"""An alert fires and the world is well: a limit set too low, a watcher that looks elsewhere, a burst."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from evals.lab.declared import SERVICE_PORT
from evals.lab.disk import service_config
from evals.lab.expectations import Expectation, no_fault
from evals.lab.faults.busy_host import SCRIPT, leave_script, one_cpu, run_unit
from evals.lab.faults.busy_host import restore as rest
from evals.lab.faults.on_host import tell, wait_healthy
from evals.lab.faults.watcher_away import away
from evals.lab.hosts import LabStage
from evals.lab.load import start_load
from evals.lab.monitoring import MonitoredHost
from evals.lab.situations.compose import Step, hushed
from evals.lab.stage import Fault, Role, StageHost
from evals.lab.surroundings import current
from graph.records import IssueType

MEDIA = "/srv/media"
"""What fills a disk and belongs there."""
BURST_SECONDS = 8


def limited(**limits: str) -> Step:
    """These alerts have other limits from now on, by name."""

    def put(stage: LabStage, host: StageHost) -> None:
        around = stage.monitoring.around
        stage.monitoring.around = replace(around, limits={**around.limits, **limits})
        stage.monitoring.reload()

    return put


def as_set(stage: LabStage, host: StageHost) -> None:
    """Alerts as the surroundings have them."""
    stage.monitoring.around = current()
    stage.monitoring.reload()


def _watching(change: Callable[[MonitoredHost, LabStage], MonitoredHost]) -> tuple[Step, Step]:
    """How the host is scraped is changed, and put back."""
    before: list[tuple[MonitoredHost, ...]] = []

    def put(stage: LabStage, host: StageHost) -> None:
        before.append(stage.monitoring.targets)
        stage.monitoring.targets = tuple(
            change(each, stage) if each.resource_id == host.resource_id else each for each in stage.monitoring.targets
        )
        stage.monitoring.reload()

    def take(stage: LabStage, host: StageHost) -> None:
        if before:
            stage.monitoring.targets = before.pop()
        stage.monitoring.reload()

    return put, take


def _wrong_port(each: MonitoredHost, stage: LabStage) -> MonitoredHost:
    return replace(each, service=each.service.replace(f":{SERVICE_PORT}", ":8099"))


def _wrong_exporter(each: MonitoredHost, stage: LabStage) -> MonitoredHost:
    return replace(each, node_exporter=each.node_exporter.replace(":9100", ":9110"))


def _of_another(each: MonitoredHost, stage: LabStage) -> MonitoredHost:
    other = next(host for host in stage.hosts if host.resource_id != each.resource_id)
    return replace(each, node_exporter=f"{other.address}:9100")


def _probe_elsewhere(stage: LabStage, host: StageHost) -> None:
    jobs = [dict(job) for job in stage.monitoring.jobs]
    for job in jobs:
        if job["job_name"] == "blackbox":
            job["static_configs"] = [_other_page(entry) for entry in job["static_configs"]]
    stage.monitoring.jobs = tuple(jobs)
    stage.monitoring.reload()


def _probe_again(stage: LabStage, host: StageHost) -> None:
    for job in stage.monitoring.jobs:
        for entry in job["static_configs"]:
            entry["targets"] = [target.replace("/status/live", "/healthz") for target in entry["targets"]]
    stage.monitoring.reload()


def _other_page(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "targets": [target.replace("/healthz", "/status/live") for target in entry["targets"]]}


def fill_to(stage: LabStage, host: StageHost, percent: int) -> None:
    """Data on the host's disk until it is that full, of what others than root may use."""
    used, avail = map(int, tell(stage, host, "df -BM --output=used,avail / | tail -n 1 | tr -d M").stdout.split())
    more = (used + avail) * percent // 100 - used
    tell(stage, host, f"mkdir -p {MEDIA}; [ {more} -le 0 ] || fallocate -l {max(more, 1)}M {MEDIA}/catalogue.bin", 60)


def _large_and_stable(stage: LabStage, host: StageHost) -> None:
    fill_to(stage, host, 81)
    limited(DiskFull="80")(stage, host)


def _smaller_again(stage: LabStage, host: StageHost) -> None:
    stage.run(host, f"rm -rf {MEDIA}")
    as_set(stage, host)


def _other_is_full(stage: LabStage, host: StageHost) -> None:
    other = next(each for each in stage.hosts if each.resource_id != host.resource_id)
    tell(
        stage,
        other,
        f"mkdir -p {MEDIA}; fallocate -l $(($(df --output=avail -BM / | tail -n 1 | tr -d M) - 9))M {MEDIA}/x",
        60,
    )
    stage.monitoring.targets = tuple(
        _of_another(each, stage) if each.resource_id == host.resource_id else each
        for each in stage.monitoring.targets
        if each.resource_id != other.resource_id
    )
    stage.monitoring.reload()


def _other_is_empty(stage: LabStage, host: StageHost) -> None:
    for each in stage.hosts:
        stage.run(each, f"rm -rf {MEDIA}")
    stage.monitoring.targets = tuple(
        MonitoredHost(each.resource_id, f"{each.address}:9100", f"{each.address}:{SERVICE_PORT}", each.service)
        for each in stage.hosts
    )
    stage.monitoring.reload()


def _burst(stage: LabStage, host: StageHost) -> None:
    """Told of once it is over: Alertmanager holds it back until then, and the rule goes on for a while."""
    stage.monitoring.around = replace(stage.monitoring.around, keeps_firing="15s")
    stage.monitoring.reload()
    one_cpu(stage, host)
    leave_script(stage, host, f"end=$(($(date +%s) + {BURST_SECONDS})); while [ $(date +%s) -lt $end ]; do :; done\n")
    with hushed(stage):
        run_unit(stage, host, f"/bin/sh {SCRIPT}")
        time.sleep(BURST_SECONDS + 0.5)


def _fair_load(stage: LabStage, host: StageHost) -> None:
    """Real requests, and half the CPU left."""
    one_cpu(stage, host)
    stage.machine(host).disk.write("etc/shopd.json", service_config(SERVICE_PORT, work_ms=8))
    tell(stage, host, f"systemctl reset-failed {host.service}; systemctl restart {host.service}")
    wait_healthy(stage, host)
    start_load(host.address, SERVICE_PORT, 45)
    limited(HighCpu="30")(stage, host)


def _no_load(stage: LabStage, host: StageHost) -> None:
    as_set(stage, host)
    rest(stage, host)


def _exporter_away(unit: str) -> tuple[Step, Step]:
    return (lambda stage, host: away(stage, host, unit), lambda stage, host: _started(stage, host, unit))


def _started(stage: LabStage, host: StageHost, unit: str) -> None:
    tell(stage, host, f"systemctl start {unit}")


def _made(
    name: str, issue_type: IssueType, alert: str, steps: tuple[Step, Step], expectation: Expectation, says: str,
    on: Role = "app", needs: tuple[Role, ...] = (), lasts: bool = True,
) -> Fault:  # fmt: skip
    """`lasts`: the alert goes on firing though all is well, so that in the end a human is told."""
    return Fault(
        name=name, issue_type=issue_type, settings=("lab",), alertname=alert, expected_cause="no_fault",
        expected_outcome="escalated" if lasts else "self_resolved", inject=steps[0], restore=steps[1],
        kind="Instance" if on in ("app", "standby") else "Database", says=says, on=on, needs=needs,
        expectation=expectation,
    )  # fmt: skip


def _limit(name: str, issue_type: IssueType, alert: str, limit: str, on: Role = "app") -> Fault:
    says = f"the limit of {alert} is set to {limit}, which a host that is well exceeds"
    steps = (limited(**{alert: limit}), as_set)
    return _made(name, issue_type, alert, steps, no_fault("limit_too_low"), says, on)


NO_FAULTS = (
    _limit("limit_disk", "disk_full", "DiskFull", "20"),
    _limit("limit_inodes", "disk_full", "InodesExhausted", "5"),
    _limit("limit_pg_connections", "connection_timeout", "PostgresConnectionsExhausted", "2", "pg_primary"),
    _limit("limit_my_connections", "connection_timeout", "MariadbConnectionsExhausted", "0.5", "my_primary"),
    _made(
        "disk_large_stable", "disk_full", "DiskFull", (_large_and_stable, _smaller_again),
        no_fault("limit_too_low", "hard"), "a disk is 81 % full of what belongs there, and the limit is 80",
    ),
    _made(
        "scraped_at_wrong_port", "service_down", "ServiceDown", _watching(_wrong_port), no_fault("watched_wrongly"),
        "Prometheus asks for the service's metrics at a port where nobody listens",
    ),
    _made(
        "exporter_at_wrong_port", "service_down", "InstanceDown", _watching(_wrong_exporter),
        no_fault("watched_wrongly"), "Prometheus asks for the host's metrics at a port where nobody listens",
    ),
    _made(
        "probed_at_wrong_page", "connection_timeout", "EndpointUnreachable", (_probe_elsewhere, _probe_again),
        no_fault("watched_wrongly", "hard"), "the probe from outside asks for a page that there is not",
    ),
    _made(
        "burst", "high_cpu", "HighCpu", (_burst, _no_load), no_fault("passing_burst"),
        "a job used the CPU for some seconds and has ended", lasts=False,
    ),
    _made(
        "fair_load", "high_cpu", "HighCpu", (_fair_load, _no_load), no_fault("limit_too_low", "hard"),
        "requests use half of the CPU, and the limit is 30 %",
    ),
    _made(
        "disk_of_another", "disk_full", "DiskFull", (_other_is_full, _other_is_empty),
        no_fault("watched_wrongly", "hard"), "another host's exporter is scraped under this host's name, and is full",
        needs=("standby",),
    ),
    _made(
        "my_exporter_away", "service_down", "MariadbReplicaDown", _exporter_away("prometheus-mysqld-exporter"),
        no_fault("exporter_away", "easy"), "the server is well, but its exporter is away for some seconds",
        "my_replica", lasts=False,
    ),
)  # fmt: skip
