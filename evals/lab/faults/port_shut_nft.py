"""A rule of the host's nftables drops what comes to the service's port, among rules that let much else in."""

from __future__ import annotations

from evals.lab.declared import SERVICE_PORT
from evals.lab.faults.on_host import tell, wait_healthy
from evals.lab.stage import Fault, Stage, StageHost

RULESET = f"""table inet filter {{
  chain input {{
    type filter hook input priority 0; policy accept;
    iif lo accept
    ct state established,related accept
    tcp dport {{ 22, 9100 }} accept
    tcp dport {SERVICE_PORT} counter drop comment "window 7"
    udp dport 69 drop
  }}
}}
"""


def inject(stage: Stage, host: StageHost) -> None:
    tell(stage, host, f"nft -f - <<'END'\n{RULESET}END\n")


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, "nft delete table inet filter")
    wait_healthy(stage, host)


def mended(stage: Stage, host: StageHost) -> bool:
    """The service answers, and the other rules are all still there."""
    rules = tell(stage, host, "nft list ruleset").stdout
    return stage.healthy(host) and all(word in rules for word in ("9100", "established", "udp dport 69 drop"))


FAULT = Fault(
    name="port_shut_nft",
    issue_type="connection_timeout",
    settings=("lab",),
    alertname="EndpointUnreachable",
    expected_cause="firewall_drop",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    mended=mended,
    expected_actions=("remove_firewall_rule",),
    says="a rule of the host's nftables drops connections to the service's port",
)
