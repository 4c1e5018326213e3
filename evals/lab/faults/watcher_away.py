"""No fault at all: the host's node_exporter is away for some seconds, so that Prometheus takes the host for down."""

from __future__ import annotations

from evals.lab.faults.on_host import tell
from evals.lab.stage import Fault, Stage, StageHost

AWAY_SECONDS = 8


def away(stage: Stage, host: StageHost, unit: str) -> None:
    """Stop the unit; it comes back by itself."""
    back = f"systemd-run --quiet --on-active={AWAY_SECONDS} --timer-property=AccuracySec=100ms systemctl start {unit}"
    tell(stage, host, f"{back}; systemctl stop {unit}")


def inject(stage: Stage, host: StageHost) -> None:
    away(stage, host, "prometheus-node-exporter")


def restore(stage: Stage, host: StageHost) -> None:
    tell(stage, host, "systemctl start prometheus-node-exporter")


FAULT = Fault(
    name="watcher_away",
    issue_type="service_down",
    settings=("lab",),
    alertname="InstanceDown",
    expected_cause="no_fault",
    expected_outcome="self_resolved",
    inject=inject,
    restore=restore,
    says="the host is well, but what tells Prometheus so is away for some seconds",
)
