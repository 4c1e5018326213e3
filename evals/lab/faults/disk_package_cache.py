"""Packages that were downloaded for upgrades have filled the disk to its last byte."""

from __future__ import annotations

from evals.lab.faults.on_disk import fill, has_room, keep_data, tidy
from evals.lab.faults.on_host import start_again
from evals.lab.stage import Fault, Stage, StageHost

FOLDER = "/var/cache/apt/archives"


def inject(stage: Stage, host: StageHost) -> None:
    keep_data(stage, host)
    fill(stage, host, FOLDER, "courier-data_1.%d_all.deb")


def restore(stage: Stage, host: StageHost) -> None:
    tidy(stage, host, "/var/cache/apt/archives/courier-data*")
    start_again(stage, host)


FAULT = Fault(
    name="disk_package_cache",
    issue_type="disk_full",
    settings=("lab",),
    alertname="DiskFull",
    expected_cause="package_cache",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="downloaded packages fill the disk to the last byte",
    expected_actions=("clean_package_cache",),
    mended=has_room,
)
