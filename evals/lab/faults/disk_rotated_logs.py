"""Rotated logs of a chatty service have filled the disk to its last byte: nothing removes them."""

from __future__ import annotations

from evals.lab.faults.on_disk import fill, has_room, keep_data, tidy
from evals.lab.faults.on_host import start_again
from evals.lab.stage import Fault, Stage, StageHost

FOLDER = "/var/log/courier"


def inject(stage: Stage, host: StageHost) -> None:
    keep_data(stage, host)
    fill(stage, host, FOLDER, "requests.log.%d")


def restore(stage: Stage, host: StageHost) -> None:
    tidy(stage, host, "/var/log/courier")
    start_again(stage, host)


FAULT = Fault(
    name="disk_rotated_logs",
    issue_type="disk_full",
    settings=("lab",),
    alertname="DiskFull",
    expected_cause="rotated_logs",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="rotated logs fill the disk to the last byte",
    expected_actions=("clean_logs",),
    mended=has_room,
)
