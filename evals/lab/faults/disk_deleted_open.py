"""A file was deleted to make room, but the service that writes it has it still open: nothing became free."""

from __future__ import annotations

from evals.lab.faults.on_disk import fill, has_room, keep_data, tidy
from evals.lab.faults.on_host import start_again, tell
from evals.lab.stage import Fault, Stage, StageHost

UNIT = "courier"
"""The lab's resource lists it among the units that may be restarted for this."""
FILE = "/var/lib/courier/segment-0041"
PROGRAM = (
    "import os,time\n"
    f"if os.path.exists({FILE!r}):\n"
    f"    held = open({FILE!r}, 'ab')\n"
    f"    os.unlink({FILE!r})\n"
    "while True:\n    time.sleep(60)\n"
)


def inject(stage: Stage, host: StageHost) -> None:
    keep_data(stage, host)
    unit = f"[Service]\\nExecStart=/usr/bin/python3 -I /etc/{UNIT}.py\\n"
    program = PROGRAM.replace("\n", "\\n").replace("'", "'\\''")
    tell(
        stage,
        host,
        f"mkdir -p /var/lib/courier; printf '{program}' > /etc/{UNIT}.py; "
        f"printf '{unit}' > /etc/systemd/system/{UNIT}.service; systemctl daemon-reload; "
        f"fallocate -l $(($(df --output=avail -BM / | tail -n 1 | tr -d M) - 8))M {FILE}",
    )
    tell(stage, host, f"systemctl start {UNIT}; sleep 1; [ ! -e {FILE} ]")
    fill(stage, host, "/var/lib/courier", "tail-%d")


def mended(stage: Stage, host: StageHost) -> bool:
    return has_room(stage, host) and stage.run(host, f"systemctl is-active --quiet {UNIT}").returncode == 0


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, f"systemctl stop {UNIT}; rm -f /etc/systemd/system/{UNIT}.service; systemctl daemon-reload")
    tidy(stage, host, "/var/lib/courier", f"/etc/{UNIT}.py")
    start_again(stage, host)


FAULT = Fault(
    name="disk_deleted_open",
    issue_type="disk_full",
    settings=("lab",),
    alertname="DiskFull",
    expected_cause="deleted_open_file",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="a service holds a deleted file open that takes all the room there was",
    expected_actions=("restart_holder",),
    mended=mended,
)
