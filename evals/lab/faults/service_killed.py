"""The service is killed again and again, until its manager gives up restarting it."""

from __future__ import annotations

from evals.lab.faults.on_host import given_up, start_again, tell
from evals.lab.stage import Fault, Stage, StageHost

SECONDS = 30
"""How long the killing may take: a manager waits longer after each failed start."""


def inject(stage: Stage, host: StageHost) -> None:
    service = host.service
    if stage.name == "local":
        # 0 is what supervisorctl answers between two starts, and would be our own process group
        kill = f'pid=$(supervisorctl pid {service}); [ "$pid" -gt 1 ] 2>/dev/null && kill -9 "$pid"'
    else:
        kill = f"systemctl kill --kill-who=main --signal=KILL {service}"
        # quicker than a healer: else the killing would go on over its repair
        drop_in = f"/run/systemd/system/{service}.service.d"
        quick = f"mkdir -p {drop_in} && printf '[Service]\\nRestartSec=100ms\\n' > {drop_in}/quick.conf"
        tell(stage, host, f"{quick} && systemctl daemon-reload")
    tell(
        stage,
        host,
        f"end=$(($(date +%s) + {SECONDS})); until {given_up(stage, service)}; do "
        f"[ $(date +%s) -lt $end ] || exit 1; {{ {kill}; }} 2>/dev/null; sleep 0.05; done",
        timeout=SECONDS + 10,
    )


FAULT = Fault(
    name="service_killed",
    issue_type="service_down",
    settings=("lab", "local"),
    alertname="ServiceDown",
    expected_cause="process_crashed",
    expected_outcome="mitigated",
    inject=inject,
    restore=start_again,
    says="kill -9 of the service until its manager gives up restarting it",
    expected_actions=("restart_service",),
)
