"""What the service can't do without goes down; restarted in this state, it ends at once, again and again."""

from __future__ import annotations

from evals.lab.declared import SERVICE_PORT
from evals.lab.disk import service_config
from evals.lab.faults.on_host import given_up, start_again, tell, wait_healthy
from evals.lab.hosts import LabStage
from evals.lab.stage import Fault, StageHost
from evals.lab.upstream import ADDRESS

GIVING_UP = 20
"""Seconds in which the manager must have given the service up."""


def inject(stage: LabStage, host: StageHost) -> None:
    needing = service_config(SERVICE_PORT, upstream=ADDRESS, needs_upstream=True)
    stage.machine(host).disk.write("etc/shopd.json", needing)
    tell(stage, host, f"systemctl reset-failed {host.service}; systemctl restart {host.service}")
    wait_healthy(stage, host)
    stage.upstream.down()
    # ends with an error, which is the fault
    stage.run(host, f"systemctl reset-failed {host.service}; systemctl restart {host.service}")
    given = given_up(stage, host.service)
    tell(
        stage,
        host,
        f"end=$(($(date +%s) + {GIVING_UP})); until {given}; do [ $(date +%s) -lt $end ] || exit 1; sleep 0.1; done",
        timeout=GIVING_UP + 10,
    )


def restore(stage: LabStage, host: StageHost) -> None:
    stage.upstream.up()
    stage.machine(host).disk.write("etc/shopd.json", service_config(SERVICE_PORT))
    start_again(stage, host)


FAULT = Fault(
    name="dependency_down",
    issue_type="service_down",
    settings=("lab",),
    alertname="ServiceDown",
    expected_cause="dependency_down",
    expected_outcome="escalated",
    inject=inject,
    restore=restore,
    says="what the service depends on refuses connections, and the service ends at every start",
)
