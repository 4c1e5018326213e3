"""A true fault, and beside it something noticeable that harms nobody and has nothing to do with it."""

from __future__ import annotations

from evals.lab.expectations import FAULTS
from evals.lab.faults.on_host import tell
from evals.lab.faults.on_mariadb import TABLE
from evals.lab.faults.on_postgres import BIN
from evals.lab.hosts import LabStage
from evals.lab.situations.compose import Aside, ask_for, beside
from evals.lab.situations.no_fault import MEDIA, fill_to
from evals.lab.stage import Fault, StageHost

_ODD = "batch-odd"


def _runs(script: str, ends: bool = False) -> Aside:
    """A unit of a neighbour that does this; one that `ends` fails, and stays failed."""

    def put(stage: LabStage, host: StageHost) -> None:
        options = "" if ends else "--collect"
        stage.run(host, f"systemctl reset-failed {_ODD} 2>/dev/null")
        tell(stage, host, f"systemd-run --quiet {options} --unit={_ODD} sh -c {_quoted(script)}; sleep 1")

    def take(stage: LabStage, host: StageHost) -> None:
        stage.run(host, f"systemctl stop {_ODD}; systemctl reset-failed {_ODD}")

    return Aside(put, take)


def _tells(put: str, take: str) -> Aside:
    """Commands on the host."""
    return Aside(
        lambda stage, host: _told(stage, host, put),
        lambda stage, host: _tried(stage, host, take),
    )


def _told(stage: LabStage, host: StageHost, command: str) -> None:
    tell(stage, host, command, 60)


def _tried(stage: LabStage, host: StageHost, command: str) -> None:
    stage.run(host, command, 60)


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"


def _errors(stage: LabStage, host: StageHost) -> None:
    for page in ("ERROR worker 7: java.lang.OutOfMemoryError: Java heap space", "FATAL giving up batch 41"):
        ask_for(host, page)


LOUD = Aside(_errors, lambda stage, host: None)
"""A client asks for pages that read like errors: the service's own log has them."""
FAILED = _runs("echo backup target nas.example.net is away; exit 3", ends=True)
OTHER_PORT = _tells("iptables -I INPUT -p tcp --dport 8443 -j DROP", "iptables -D INPUT -p tcp --dport 8443 -j DROP")
LOGS = _tells(
    "mkdir -p /var/log/pigeon; for n in 1 2 3; do fallocate -l 8M /var/log/pigeon/relay.log.$n; done",
    "rm -f /var/log/pigeon/relay.log.*",
)
CHANGED = _tells("touch /etc/shopd.json /var/lib/dpkg/status", "true")
NEARLY_FULL = Aside(
    lambda stage, host: fill_to(stage, host, 82),
    lambda stage, host: _tried(stage, host, f"rm -rf {MEDIA}"),
)
SOME_LOAD = _runs("while :; do i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; sleep 0.05; done")
PG_IDLE = _runs(
    f"for n in 1 2 3; do {{ echo 'begin; select 1;'; sleep 600; }} | setpriv --reuid=postgres --regid=postgres "
    f"--init-groups {BIN}/psql -h /run/postgresql -d postgres -Atq & done; wait"
)
MY_IDLE = _runs(
    f"for n in 1 2 3; do {{ echo 'BEGIN; SELECT COUNT(*) FROM {TABLE};'; sleep 600; }} | mariadb --unbuffered & done; "
    "wait"
)

_PAIRS: tuple[tuple[str, str, Aside, str], ...] = (
    (
        "killed_beside_loud",
        "service_killed",
        LOUD,
        "its log has lines that read like errors of memory, asked for by a client",
    ),
    ("stopped_beside_rule", "service_stopped", OTHER_PORT, "a firewall rule shuts a port that nobody uses"),
    ("shut_after_change", "port_shut_nft", CHANGED, "configuration and packages were touched a moment before"),
    ("dumps_beside_logs", "disk_core_dumps", LOGS, "some rotated logs lie on the same disk"),
    ("names_beside_disk", "names_lost", NEARLY_FULL, "the disk is 82 % full, as it may be"),
    (
        "link_beside_loud",
        "service_link_down",
        LOUD,
        "its log has lines that read like errors of memory, asked for by a client",
    ),
    ("group_beside_rule", "security_group_closed", OTHER_PORT, "a firewall rule shuts a port that nobody uses"),
    ("edit_beside_disk", "bad_config", NEARLY_FULL, "the disk is 82 % full, as it may be"),
    ("squat_beside_load", "port_taken", SOME_LOAD, "a job uses some of the CPU"),
    ("pause_beside_idle", "pg_replay_paused", PG_IDLE, "some sessions are idle in a transaction"),
    ("stop_beside_idle", "my_replication_stopped", MY_IDLE, "some sessions are idle in a transaction"),
)

RED_HERRINGS: tuple[Fault, ...] = tuple(
    beside(name, base, aside, FAULTS[base].also("red_herring"), says) for name, base, aside, says in _PAIRS
)
