"""A rule of the host's iptables rejects what comes to the service's port; the rules around it are wanted."""

from __future__ import annotations

from evals.lab.declared import SERVICE_PORT
from evals.lab.faults.on_host import tell, wait_healthy
from evals.lab.stage import Fault, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    tell(
        stage,
        host,
        "set -e; iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -p tcp -m multiport --dports 22,9100 -j ACCEPT; "
        f"iptables -A INPUT -p tcp --dport {SERVICE_PORT} -j DROP; iptables -A INPUT -p tcp --dport 23 -j REJECT",
    )


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, "iptables -F INPUT")
    wait_healthy(stage, host)


def mended(stage: Stage, host: StageHost) -> bool:
    """The service answers, and the other rules are all still there."""
    rules = tell(stage, host, "iptables-save").stdout
    return stage.healthy(host) and all(word in rules for word in ("22,9100", "-i lo", "--dport 23"))


FAULT = Fault(
    name="port_shut_iptables",
    issue_type="connection_timeout",
    settings=("lab",),
    alertname="EndpointUnreachable",
    expected_cause="firewall_drop",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    mended=mended,
    expected_actions=("remove_firewall_rule",),
    says="a rule of the host's iptables drops connections to the service's port",
)
