"""Real faults that the lab's own list lacks: mixed, halved, or of a kind that only shows from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from evals.lab.expectations import MACHINES, STOPS, Expectation, no_fault
from evals.lab.faults.busy_host import one_cpu
from evals.lab.faults.busy_host import restore as rest
from evals.lab.faults.on_disk import has_room, keep_data, tidy
from evals.lab.faults.on_host import start_again, tell, wait_healthy
from evals.lab.faults.on_network import configure
from evals.lab.hosts import LabStage
from evals.lab.machine_commands import call
from evals.lab.network import in_network
from evals.lab.situations.compose import Aside
from evals.lab.situations.no_fault import as_set, limited
from evals.lab.situations.red_herrings import FAILED, LOUD, OTHER_PORT
from evals.lab.stage import Fault, StageHost
from evals.lab.upstream import ADDRESS as UPSTREAM_ADDRESS
from evals.lab.upstream import PORT as UPSTREAM_PORT
from graph.records import IssueType

_LOGS, _TMP = "/var/log/courier", "/var/tmp/import-7"
_JOBS = ("batch7", "batch8")


def _freeze(stage: LabStage, host: StageHost) -> None:
    tell(stage, host, f"systemctl kill --kill-who=main --signal=STOP {host.service}")


def _thaw(stage: LabStage, host: StageHost) -> None:
    stage.run(host, f"systemctl kill --kill-who=main --signal=CONT {host.service}")
    start_again(stage, host)


def _two_jobs(stage: LabStage, host: StageHost) -> None:
    one_cpu(stage, host)
    for unit in _JOBS:
        tell(stage, host, f"systemd-run --quiet --collect --unit={unit} sh -c 'while :; do :; done'")


def _no_jobs(stage: LabStage, host: StageHost) -> None:
    for unit in _JOBS:
        stage.run(host, f"systemctl kill --signal=KILL {unit}; systemctl stop {unit}")
    rest(stage, host)


def _no_job_left(stage: LabStage, host: StageHost) -> bool:
    looked = [stage.run(host, f"systemctl is-active --quiet {unit}").returncode for unit in _JOBS]
    return stage.healthy(host) and all(looked)


def _half_and_half(stage: LabStage, host: StageHost) -> None:
    keep_data(stage, host)
    avail = int(tell(stage, host, "df -BM --output=avail / | tail -n 1 | tr -d M").stdout)
    for folder, name in ((_LOGS, "requests.log.1"), (_TMP, "part-0001")):
        tell(stage, host, f"mkdir -p {folder}; fallocate -l {(avail - 3) // 2}M {folder}/{name}", 60)


def _emptied(stage: LabStage, host: StageHost) -> None:
    tidy(stage, host, _LOGS, _TMP)
    start_again(stage, host)


def _silent_upstream(stage: LabStage, host: StageHost) -> None:
    """What it depends on neither answers nor refuses: packets to it are lost on the way."""
    configure(stage, host, upstream=UPSTREAM_ADDRESS)
    wait_healthy(stage, host)
    with in_network():
        call(["nft", f"add table ip lost; add chain ip lost in {{ type filter hook input priority 0 ; }}; "
                     f"add rule ip lost in tcp dport {UPSTREAM_PORT} drop"])  # fmt: skip


def _upstream_again(stage: LabStage, host: StageHost) -> None:
    with in_network():
        call(["nft", "add table ip lost; delete table ip lost"])
    configure(stage, host)
    start_again(stage, host)


def _limit_amid(asides: tuple[Aside, ...], **limits: str) -> Aside:
    """A limit set too low on a host where something else is odd, and harms nobody."""

    def put(stage: LabStage, host: StageHost) -> None:
        for aside in asides:
            aside.put(stage, host)
        limited(**limits)(stage, host)

    def take(stage: LabStage, host: StageHost) -> None:
        as_set(stage, host)
        for aside in asides:
            aside.take(stage, host)

    return Aside(put, take)


def _made(
    name: str, issue_type: IssueType, alert: str, steps: Aside, expectation: Expectation, says: str,
    *actions: str, outcome: Literal["mitigated", "escalated"] = "mitigated", or_alerts: tuple[str, ...] = (),
    mended: Callable[[LabStage, StageHost], bool] | None = None,
) -> Fault:  # fmt: skip
    return Fault(
        name=name, issue_type=issue_type, settings=("lab",), alertname=alert, or_alerts=or_alerts,
        expected_cause=expectation.causes[0], expected_outcome=outcome, mended=mended,
        inject=steps.put, restore=steps.take, expected_actions=actions, says=says, expectation=expectation,
    )  # fmt: skip


_AMID = no_fault("limit_too_low", "hard").also("red_herring")
FURTHER: tuple[Fault, ...] = (
    _made(
        "frozen", "service_down", "ServiceDown", Aside(_freeze, _thaw),
        Expectation(
            "frozen_process", ("service_hung", "not_accepting"), ("unit.state", "health.ok"), ("restart_service",),
            (*MACHINES, *STOPS),
        ),
        "the service's process is stopped by a signal and answers nobody", "restart_service",
        or_alerts=("EndpointUnreachable",),
    ),
    _made(
        "two_jobs", "high_cpu", "HighCpu", Aside(_two_jobs, _no_jobs),
        Expectation(
            "cpu_spin", ("runaway_process",), ("cpu.busy_percent", "process.cpu_percent"), STOPS,
            (*MACHINES, "restart_service"), "hard",
        ),
        "two jobs loop for ever and share the CPU", "stop_unit", "stop_unit",
        mended=_no_job_left,
    ),
    _made(
        "half_and_half", "disk_full", "DiskFull", Aside(_half_and_half, _emptied),
        Expectation(
            "disk_fill_log", ("rotated_logs", "tmp_files"), ("disk.over", "disk.reclaimable_mib"),
            ("clean_logs", "clean_tmp"), (*MACHINES, *STOPS, "restart_service"), "hard",
        ),
        "rotated logs and old working files fill the disk, half each", "clean_logs", mended=has_room,
    ),
    _made(
        "upstream_silent", "connection_timeout", "EndpointUnreachable", Aside(_silent_upstream, _upstream_again),
        Expectation(
            "upstream_down", ("dependency_down",), ("dependency.reachable", "health.ok"), difficulty="hard"
        ),
        "what the service depends on lets connections time out", outcome="escalated",
    ),
    _made(
        "limit_disk_amid", "disk_full", "DiskFull", _limit_amid((FAILED, OTHER_PORT), DiskFull="25"), _AMID,
        "a disk's limit is set too low, while a unit has failed and a rule shuts a port that nobody uses",
        outcome="escalated",
    ),
    _made(
        "limit_inodes_amid", "disk_full", "InodesExhausted", _limit_amid((LOUD,), InodesExhausted="6"), _AMID,
        "a limit of inodes is set too low, while lines of the log read like errors of memory", outcome="escalated",
    ),
)  # fmt: skip
