"""While the service is down for a moment, another program takes its port; the service can't start again."""

from __future__ import annotations

import time

from evals.lab.declared import SERVICE_PORT
from evals.lab.faults.busy_host import SCRIPT, UNIT, leave_script, run_unit
from evals.lab.faults.on_host import given_up, start_again, tell
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, StageHost

START_SECONDS = 1.5
"""For the program to have started, so that it is there when the port gets free."""
GIVING_UP = 20
"""Seconds in which the manager must have given the service up."""


WAITS = f"""import http.server, time
while True:
    try:
        at = ("0.0.0.0", {SERVICE_PORT})
        http.server.ThreadingHTTPServer(at, http.server.SimpleHTTPRequestHandler).serve_forever()
    except OSError:
        time.sleep(0.01)
"""
"""Takes the port as soon as it is free."""


def inject(stage: LabStage, host: StageHost) -> None:
    leave_script(stage, host, WAITS)
    run_unit(stage, host, f"--working-directory=/srv /usr/bin/python3 {SCRIPT}")
    time.sleep(START_SECONDS)
    tell(stage, host, f"systemctl stop {host.service}")
    # ends with an error, which is the fault
    stage.run(host, f"systemctl start {host.service}")
    given = given_up(stage, host.service)
    tell(
        stage,
        host,
        f"end=$(($(date +%s) + {GIVING_UP})); until {given}; do [ $(date +%s) -lt $end ] || exit 1; sleep 0.1; done",
        timeout=GIVING_UP + 10,
    )


def restore(stage: LabStage, host: StageHost) -> None:
    stage.run(host, f"systemctl stop {UNIT}")
    start_again(stage, host)


FAULT = Fault(
    name="port_taken",
    issue_type="service_down",
    settings=("lab",),
    alertname="ServiceDown",
    expected_cause="port_taken",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="another unit listens on the service's port, so that it can't start",
    expected_actions=("stop_unit", "start_service"),
)
