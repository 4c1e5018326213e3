"""A service floods systemd's journal, whose limit somebody has raised far too high."""

from __future__ import annotations

from evals.lab.faults.on_disk import DATA, has_room, keep_data, tidy
from evals.lab.faults.on_host import start_again, tell
from evals.lab.stage import Fault, Stage, StageHost

DROP_IN = "/etc/systemd/journald.conf.d/zz-size.conf"
JOURNAL_MIB = 180
LEFT_MIB = 30
LINES = (
    "import os,socket; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.connect('/dev/log'); "
    f"[s.send(b'<14>courier: '+os.urandom(12000).hex().encode()) for _ in range({JOURNAL_MIB * 1024 // 24})]"
)


def inject(stage: Stage, host: StageHost) -> None:
    keep_data(stage, host)
    room = f"$(($(df --output=avail -B1M / | tail -n 1) - {JOURNAL_MIB} - {LEFT_MIB}))M"
    values = (
        "SystemMaxUse=600M",
        "SystemKeepFree=1M",
        "SystemMaxFileSize=16M",
        "RateLimitIntervalSec=0",
        "Compress=no",
    )
    settings = "\\n".join(("[Journal]", *values, ""))
    tell(
        stage,
        host,
        f"fallocate -l {room} {DATA}/catalogue; printf '{settings}' > {DROP_IN}; systemctl restart systemd-journald",
    )
    tell(stage, host, f'python3 -c "{LINES}" && journalctl --sync', timeout=90)


def mended(stage: Stage, host: StageHost) -> bool:
    """Room again, and the journal still tells what is recent."""
    return has_room(stage, host) and bool(stage.run(host, "journalctl -n 1 -q").stdout.strip())


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, f"rm -f {DROP_IN}; systemctl restart systemd-journald; journalctl --rotate --vacuum-size=8M")
    tidy(stage, host)
    start_again(stage, host)


FAULT = Fault(
    name="disk_journal_flood",
    issue_type="disk_full",
    settings=("lab",),
    alertname="DiskFull",
    expected_cause="journal_growth",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="a flood of messages grows the journal far beyond what the disk has room for",
    expected_actions=("vacuum_journal",),
    mended=mended,
)
