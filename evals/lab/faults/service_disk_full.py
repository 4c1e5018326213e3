"""The service can't start, as the disk beneath it is full to its last byte: of logs, which nobody would miss."""

from __future__ import annotations

from evals.lab.faults.on_disk import fill, has_room, keep_data, tidy
from evals.lab.faults.on_host import given_up, start_again, tell
from evals.lab.stage import Fault, Stage, StageHost

FOLDER = "/var/log/courier"
GIVING_UP = 20


def inject(stage: Stage, host: StageHost) -> None:
    service = host.service
    # the service prepares a file before it starts, as many do, and fails where it can't; at once, or a quick healer
    # would have made room before it gave up
    drop_in = f"/run/systemd/system/{service}.service.d"
    write = "/bin/dd if=/dev/zero of=/var/lib/shopd/index bs=64k count=4 conv=fsync"
    prepare = f"[Service]\\nRestart=no\\nExecStartPre={write}\\n"
    tell(stage, host, f"mkdir -p {drop_in} && printf '{prepare}' > {drop_in}/index.conf && systemctl daemon-reload")
    keep_data(stage, host)
    fill(stage, host, FOLDER, "requests.log.%d")
    # ends with an error, which is the fault
    stage.run(host, f"systemctl restart {service}")
    tell(
        stage,
        host,
        f"end=$(($(date +%s) + {GIVING_UP})); until {given_up(stage, service)}; do "
        "[ $(date +%s) -lt $end ] || exit 1; sleep 0.1; done",
        timeout=GIVING_UP + 10,
    )


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, f"rm -rf /run/systemd/system/{host.service}.service.d; systemctl daemon-reload")
    tidy(stage, host, FOLDER, "/var/lib/shopd/index")
    start_again(stage, host)


FAULT = Fault(
    name="service_disk_full",
    issue_type="service_down",
    settings=("lab",),
    alertname="ServiceDown",
    or_alerts=("EndpointUnreachable",),
    expected_cause="no_space_left",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="the disk beneath the service is full to the last byte, and the service is restarted",
    expected_actions=("clean_logs", "restart_service"),
    mended=has_room,
)
