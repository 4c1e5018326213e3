"""A service that crashes all the time has left dumps of its memory until the disk was full to its last byte."""

from __future__ import annotations

from evals.lab.faults.on_disk import fill, has_room, keep_data, tidy
from evals.lab.faults.on_host import start_again
from evals.lab.stage import Fault, Stage, StageHost

FOLDER = "/var/lib/systemd/coredump"


def inject(stage: Stage, host: StageHost) -> None:
    keep_data(stage, host)
    fill(stage, host, FOLDER, "core.courier.0.4f1c.%d.1764000000000000")


def restore(stage: Stage, host: StageHost) -> None:
    tidy(stage, host, "/var/lib/systemd/coredump/core.courier*")
    start_again(stage, host)


FAULT = Fault(
    name="disk_core_dumps",
    issue_type="disk_full",
    settings=("lab",),
    alertname="DiskFull",
    expected_cause="core_dumps",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="core dumps fill the disk to the last byte",
    expected_actions=("remove_core_dumps",),
    mended=has_room,
)
