"""The service loses memory until the kernel's OOM killer takes it, again and again, until its manager gives up."""

from __future__ import annotations

from evals.lab.faults.on_host import start_again, tell
from evals.lab.stage import Fault, Stage, StageHost

LEAK_MIB_PER_S = 400


def inject(stage: Stage, host: StageHost) -> None:
    # OOMScoreAdjust: of all on the host, the leaking service is what the kernel should take
    leak = f"""sed -i 's/"upstream": ""/"upstream": "", "leak_mib_per_s": {LEAK_MIB_PER_S}/' /etc/shopd.json"""
    drop_in = "/run/systemd/system/shopd.service.d"
    tell(
        stage,
        host,
        f"cp /etc/shopd.json /etc/shopd.json.before; {leak}; mkdir -p {drop_in}; "
        f"printf '[Service]\\nOOMScoreAdjust=900\\n' > {drop_in}/oom.conf; systemctl daemon-reload; "
        "systemctl restart shopd; end=$(($(date +%s) + 40)); "
        "until systemctl is-failed --quiet shopd; do [ $(date +%s) -lt $end ] || exit 1; sleep 0.2; done; "
        "mv /etc/shopd.json.before /etc/shopd.json",
        timeout=60,
    )


def restore(stage: Stage, host: StageHost) -> None:
    tell(stage, host, "[ ! -e /etc/shopd.json.before ] || mv /etc/shopd.json.before /etc/shopd.json")
    start_again(stage, host)


FAULT = Fault(
    name="service_oom_killed",
    issue_type="service_down",
    settings=("lab",),
    alertname="ServiceDown",
    expected_cause="oom_killed",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="the service leaks memory until the kernel kills it, and the leak is gone by the time it is looked at",
)
