"""One log has grown until the disk was full to its last byte, and its writer goes on writing."""

from __future__ import annotations

from evals.lab.faults.on_disk import fill, has_room, keep_data, tidy
from evals.lab.faults.on_host import start_again, tell
from evals.lab.stage import Fault, Stage, StageHost

FOLDER = "/var/log/courier"
LOG = f"{FOLDER}/requests.log"
UNIT = "courier-writer"


def inject(stage: Stage, host: StageHost) -> None:
    keep_data(stage, host)
    fill(stage, host, FOLDER, "piece-%d")
    # one file of what the pieces took: a log that is one extent after the other, and not a byte is free between
    tell(
        stage,
        host,
        f"cd {FOLDER} && size=$(($(df --output=used -B1 / | tail -n 1))) && rm -f piece-* && "
        f"free=$(df --output=avail -B1 / | tail -n 1) && fallocate -l $free {LOG}; "
        f"cat /dev/zero >> {LOG} 2>/dev/null; [ $(df --output=avail / | tail -n 1) -eq 0 ]",
        timeout=60,
    )
    write = f"exec >>{LOG}; while :; do echo a line 2>/dev/null; sleep 1; done"
    tell(stage, host, f"systemd-run --quiet --unit={UNIT} /bin/sh -c '{write}'")


def mended(stage: Stage, host: StageHost) -> bool:
    """Room again, the log is there and is still being written, and what it held is packed beside it."""
    log = stage.run(host, f"systemctl is-active {UNIT}; sleep 2; tail -n 1 {LOG}; ls {FOLDER}")
    words = log.stdout.split()
    return has_room(stage, host) and words[:3] == ["active", "a", "line"] and any(w.endswith(".gz") for w in words)


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, f"systemctl stop {UNIT}")
    tidy(stage, host, FOLDER)
    start_again(stage, host)


FAULT = Fault(
    name="disk_log_growth",
    issue_type="disk_full",
    settings=("lab",),
    alertname="DiskFull",
    expected_cause="log_growth",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="a log that nobody rotates grows until the disk is full to the last byte, and is still written",
    expected_actions=("rotate_logs",),
    mended=mended,
)
