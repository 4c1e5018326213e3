"""What faults of the CPU have in common: a host with one CPU of its own, and jobs that are left on it."""

from __future__ import annotations

import subprocess

from evals.lab.declared import SERVICE_PORT
from evals.lab.disk import service_config
from evals.lab.faults.on_host import start_again, tell
from evals.lab.hosts import LabStage
from evals.lab.load import stop_load
from evals.lab.rootfs_files import USER
from evals.lab.sizes import SMALL
from evals.lab.stage import LabError, StageHost

UNIT = "batch7"
SCRIPT = "/usr/local/lib/segment7"
_SCRIPT_ELSEWHERE = "/usr/local/lib/[s]egment7"
"""The pattern that finds the script, and not the shell that looks for it."""


def one_cpu(stage: LabStage, host: StageHost) -> None:
    """One CPU, so that one program can use it up, and nobody else's work on this machine gets in its way."""
    stage.machine(host).give_cpus(1)


def leave_script(stage: LabStage, host: StageHost, text: str) -> None:
    """A script for a job, where any could be."""
    stage.machine(host).disk.write(SCRIPT.lstrip("/"), text)


def run_unit(stage: LabStage, host: StageHost, command: str) -> None:
    """Run `command` as a transient unit."""
    tell(stage, host, f"systemctl reset-failed {UNIT} 2>/dev/null; systemd-run --quiet --unit={UNIT} {command}")


def run_as_user(stage: LabStage, host: StageHost, command: str) -> None:
    """Leave `command` running from a user's login, as by somebody who has gone home. Raises LabError."""
    line = f"nohup {command} >/dev/null 2>&1 </dev/null &"
    stage.sent_by_faults.append(line)
    argv = [
        "ssh", "-F", "none", "-i", str(stage.work / "id_ed25519"),
        "-o", f"UserKnownHostsFile={stage.work / 'known_hosts'}",
        "-o", "BatchMode=yes", "-o", "ConnectTimeout=5",
        f"{USER}@{host.address}", line,
    ]  # fmt: skip
    stage.enter()
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise LabError(f"logging in to {host.name} to start `{command}`: {done.stderr.strip()}")


def running(stage: LabStage, host: StageHost) -> bool:
    """Whether a job is still there."""
    look = f"pgrep -f {_SCRIPT_ELSEWHERE} >/dev/null || systemctl is-active --quiet {UNIT}"
    return stage.run(host, look).returncode == 0


def rested(stage: LabStage, host: StageHost) -> bool:
    """Whether the service answers and no job is left."""
    return stage.healthy(host) and not running(stage, host)


def restore(stage: LabStage, host: StageHost) -> None:
    """End load and jobs, give all CPUs back, put the service's configuration back."""
    stop_load(host.address)
    ending = f"systemctl kill --signal=KILL {UNIT}; systemctl stop {UNIT}; pkill -KILL -f {_SCRIPT_ELSEWHERE}"
    stage.run(host, ending, 40)
    machine = stage.machine(host)
    machine.give_cpus(None)
    stage.book_type(host, SMALL)
    plain = service_config(SERVICE_PORT)
    if (machine.disk.root / "etc/shopd.json").read_text() != plain:
        machine.disk.write("etc/shopd.json", plain)
        stage.run(host, f"systemctl restart {host.service}")
    start_again(stage, host)
