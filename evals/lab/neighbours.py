"""What else runs on a lab's host beside its service: units that work, one that fails and harms nobody, chatter in the
log, a little load, old logs. All of it is real, and none of it is ever what an alert is about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from evals.lab.disk import Disk

UNITS = "etc/systemd/system"


@dataclass(frozen=True)
class Neighbour:
    """A unit of a host. `script` is a shell script; with `every` seconds it is run by a timer, else for good."""

    name: str
    describes: str
    script: str
    every: int = 0

    def files(self) -> dict[str, str]:
        """Path below / → content."""
        program = f"usr/local/lib/{self.name}"
        kind = "Type=oneshot\n" if self.every else "Restart=always\nRestartSec=2\n"
        unit = f"[Unit]\nDescription={self.describes}\n\n[Service]\n{kind}ExecStart=/bin/sh /{program}\n"
        made = {program: self.script, f"{UNITS}/{self.name}.service": unit}
        if self.every:
            timer = f"OnBootSec=1\nOnUnitInactiveSec={self.every}\nAccuracySec=100ms\n"
            made[f"{UNITS}/{self.name}.timer"] = f"[Unit]\nDescription={self.describes}\n\n[Timer]\n{timer}"
        return made

    @property
    def started(self) -> str:
        """The unit that is to be started with the host."""
        return f"{self.name}.timer" if self.every else f"{self.name}.service"


def furnish(disk: Disk, neighbours: Iterable[Neighbour]) -> None:
    """Write them to a host's disk before its power goes on; they start with it."""
    for each in neighbours:
        for where, text in each.files().items():
            disk.write(where, text)
        disk.enable(each.started)


CRON = Neighbour(
    "regular-jobs",
    "Runs the regular jobs",
    """set -- 'test -x /usr/sbin/anacron || run-parts /etc/cron.hourly' 'find /var/lib/php -name sess_* -delete' \\
  '/usr/lib/sysstat/debian-sa1 1 1' '/usr/local/sbin/rotate-keys --dry-run'
while :; do for job; do logger -t 'CRON' -p cron.info "(root) CMD ($job)"; sleep 4; done; done
""",
)
LISTENER = Neighbour(
    "pigeon",
    "Mail relay",
    """mkdir -p /var/spool/pigeon /var/log/pigeon; cd /var/spool/pigeon
python3 -m http.server 7070 >/dev/null 2>&1 &
n=0; while :; do n=$((n + 1)); echo "pigeon: delivered $((n * 3)) letters, $((n % 4)) deferred"
[ $((n % 5)) -ne 0 ] || echo "pigeon: WARN mail.example.net: 450 greylisted, trying again in 300 s"; sleep 5; done
""",
)
FAILING = Neighbour(
    "ledger-sync",
    "Copy the ledger to the archive",
    """echo "ledger-sync: ERROR no archive is configured, nothing was copied"; exit 1
""",
    every=20,
)
LOAD = Neighbour(
    "thumbs",
    "Make thumbnails",
    "while :; do i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; sleep 1; done\n",
)
OLD_LOGS = Neighbour(
    "old-logs",
    "Look after the logs of the relay",
    """mkdir -p /var/log/pigeon; cd /var/log/pigeon
[ ! -e pigeon.log.1 ] || exit 0
seq -f 'pigeon: letter %07.0f delivered' 60000 > pigeon.log.1; seq 40000 | gzip > pigeon.log.2.gz
""",
    every=3600,
)

QUIET_NEIGHBOURS = (
    Neighbour(
        "clock-watch",
        "Watch the clock",
        'while :; do echo "clock-watch: offset $(($(date +%s) % 7)) ms"; sleep 9; done\n',
    ),
)
BUSY_NEIGHBOURS = (CRON, LISTENER, FAILING, LOAD, OLD_LOGS)
