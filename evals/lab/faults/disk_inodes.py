"""A cache of a great many tiny files has used up the file system's inodes: it has room, and takes no file."""

from __future__ import annotations

from evals.lab.faults.on_disk import has_room, keep_data, tidy
from evals.lab.faults.on_host import start_again, tell
from evals.lab.stage import Fault, Stage, StageHost

FOLDER = "/var/tmp/sessions"
MAKE = (
    "import os\n"
    "n = 0\n"
    "try:\n"
    "    while True:\n"
    f"        folder = '{FOLDER}/%03d' % (n // 500)\n"
    "        os.makedirs(folder, exist_ok=True)\n"
    "        os.close(os.open('%s/%06d' % (folder, n), os.O_CREAT | os.O_WRONLY))\n"
    "        n += 1\n"
    "except OSError:\n"
    "    pass\n"
)


def inject(stage: Stage, host: StageHost) -> None:
    keep_data(stage, host)
    tell(stage, host, f'python3 -c "{MAKE}"; [ $(df --output=iavail / | tail -n 1) -eq 0 ]', timeout=60)


def restore(stage: Stage, host: StageHost) -> None:
    tidy(stage, host, FOLDER)
    start_again(stage, host)


FAULT = Fault(
    name="disk_inodes",
    issue_type="disk_full",
    settings=("lab",),
    alertname="InodesExhausted",
    expected_cause="inodes_exhausted",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="a great many tiny files use the last inode up",
    expected_actions=("clean_tmp",),
    mended=has_room,
)
