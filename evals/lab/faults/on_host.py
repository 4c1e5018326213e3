"""What faults have in common: telling a host to do something, and waiting until it shows what was wanted."""

from __future__ import annotations

import subprocess

from evals.lab.probing import wait_until
from evals.lab.stage import LabError, Stage, StageHost

CONFIG = '"${SHOPD_CONFIG:-/etc/shopd.json}"'
"""Shell word for the service's configuration file, wherever the setting keeps it."""

RECOVERY_WAIT = 20.0
"""Seconds a restored service may take to answer: a fault's restore must leave a healthy world."""


def manager(stage: Stage, verb: str, service: str) -> str:
    """Shell command by which the host's service manager does `verb` (start, stop, restart) to `service`."""
    return f"{'supervisorctl' if stage.name == 'local' else 'systemctl'} {verb} {service}"


def tell(stage: Stage, host: StageHost, command: str, timeout: float = 15.0) -> subprocess.CompletedProcess[str]:
    """Run `command` on the host; raises LabError with what it said when it fails."""
    done = stage.run(host, command, timeout)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise LabError(f"on {host.name}, `{command}` ended with {done.returncode}: {said}")
    return done


def given_up(stage: Stage, service: str) -> str:
    """Shell condition: the manager has given the service up and starts it no more."""
    if stage.name == "local":
        return f"supervisorctl status {service} | grep -q FATAL"
    return f"systemctl is-failed --quiet {service}"


def start_again(stage: Stage, host: StageHost) -> None:
    """Start the service wherever it was left, and return when it answers. Raises LabError."""
    if not stage.healthy(host):
        if stage.name == "lab":
            # a unit that hit its start limit refuses to start until then
            stage.run(host, f"systemctl reset-failed {host.service}")
        # its exit code says little: what counts is asked next
        stage.run(host, manager(stage, "restart", host.service))
    wait_healthy(stage, host)


def wait_healthy(stage: Stage, host: StageHost) -> None:
    """Return when the service answers again. Raises LabError after RECOVERY_WAIT seconds."""
    wait_until(
        lambda: None if stage.healthy(host) else f"{host.service} does not answer",
        RECOVERY_WAIT,
        f"{host.service} on {host.name} is healthy again",
        every=0.2,
    )
