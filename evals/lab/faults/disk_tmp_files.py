"""An import left its working files behind, again and again, until the disk was full to its last byte."""

from __future__ import annotations

from evals.lab.faults.on_disk import fill, has_room, keep_data, tidy
from evals.lab.faults.on_host import start_again
from evals.lab.stage import Fault, Stage, StageHost

FOLDER = "/var/tmp/import-7"


def inject(stage: Stage, host: StageHost) -> None:
    keep_data(stage, host)
    fill(stage, host, FOLDER, "part-%04d")


def restore(stage: Stage, host: StageHost) -> None:
    tidy(stage, host, "/var/tmp/import-7")
    start_again(stage, host)


FAULT = Fault(
    name="disk_tmp_files",
    issue_type="disk_full",
    settings=("lab",),
    alertname="DiskFull",
    expected_cause="tmp_files",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="forgotten working files fill the disk to the last byte",
    expected_actions=("clean_tmp",),
    mended=has_room,
)
