"""An edit leaves the service's configuration unreadable; it goes down at the next restart and no restart mends it."""

from __future__ import annotations

from evals.lab.faults.on_host import CONFIG, given_up, manager, start_again, tell
from evals.lab.stage import Fault, Stage, StageHost

GIVING_UP = 20
"""Seconds in which the manager must have given the service up."""


def inject(stage: Stage, host: StageHost) -> None:
    tell(
        stage,
        host,
        # the copy is made once: a second injection must not keep the broken file
        f"set -e; [ -e {CONFIG}.before ] || cp -p {CONFIG} {CONFIG}.before; "
        # a letter O for a zero; the parser names this very line, which a lost comma would not make it do
        f"""sed -i 's/\\("port": *[0-9]*\\)/\\1O/' {CONFIG}""",
    )
    # ends with an error, which is the fault
    stage.run(host, manager(stage, "restart", host.service))
    given = given_up(stage, host.service)
    tell(
        stage,
        host,
        f"end=$(($(date +%s) + {GIVING_UP})); until {given}; do [ $(date +%s) -lt $end ] || exit 1; sleep 0.1; done",
        timeout=GIVING_UP + 10,
    )


def restore(stage: Stage, host: StageHost) -> None:
    tell(stage, host, f"[ ! -e {CONFIG}.before ] || mv {CONFIG}.before {CONFIG}")
    start_again(stage, host)


FAULT = Fault(
    name="bad_config",
    issue_type="service_down",
    settings=("lab", "local"),
    alertname="ServiceDown",
    expected_cause="bad_configuration",
    expected_outcome="escalated",
    inject=inject,
    restore=restore,
    says="a letter O slips into the port in the service's configuration, and the service is restarted",
)
