"""The host's firewall lets in what it names and drops all else; the service's port is not named.

No single rule is to blame, and what else the policy is to keep out nobody has declared: a human decides.
"""

from __future__ import annotations

from evals.lab.faults.on_host import tell, wait_healthy
from evals.lab.stage import Fault, Stage, StageHost

RULESET = """table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    iif lo accept
    ct state established,related accept
    meta l4proto icmp accept
    tcp dport { 22, 9100 } accept
  }
}
"""


def inject(stage: Stage, host: StageHost) -> None:
    tell(stage, host, f"nft -f - <<'END'\n{RULESET}END\n")


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, "nft delete table inet filter")
    wait_healthy(stage, host)


FAULT = Fault(
    name="port_not_let_in",
    issue_type="connection_timeout",
    settings=("lab",),
    alertname="EndpointUnreachable",
    expected_cause="firewall_drop",
    expected_outcome="escalated",
    inject=inject,
    restore=restore,
    says="the host's firewall drops all that it does not name, and does not name the service's port",
)
