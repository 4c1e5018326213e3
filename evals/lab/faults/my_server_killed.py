"""The database's process is killed, and again at each start, until systemd gives it up."""

from __future__ import annotations

from evals.lab.faults import service_killed
from evals.lab.faults.on_host import start_again, tell
from evals.lab.faults.on_mariadb import in_step
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    # Debian's unit waits 5 s between starts, and its start limit is never hit
    limits = "/run/systemd/system/mariadb.service.d"
    tell(stage, host, f"mkdir -p {limits} && printf '[Unit]\\nStartLimitIntervalSec=60\\nStartLimitBurst=2\\n'"
                      f" > {limits}/limits.conf")  # fmt: skip
    service_killed.inject(stage, host)


def restore(stage: Stage, host: StageHost) -> None:
    start_again(stage, host)


def mended(stage: Stage, host: StageHost) -> bool:
    return in_step(stage)


FAULT = Fault(
    name="my_server_killed",
    issue_type="service_down",
    settings=("lab",),
    alertname="MariadbReplicaDown",
    expected_cause="process_crashed",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="kill -9 of the server until its manager gives it up",
    on="my_replica",
    expected_actions=("restart_service",),
    mended=mended,
)
