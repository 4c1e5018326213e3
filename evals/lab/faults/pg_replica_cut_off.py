"""A rule on the replica's host drops what goes to its primary."""

from __future__ import annotations

from evals.lab.faults.on_postgres import in_step, primary_of, tell, wait_in_step
from evals.lab.stage import Fault, Stage, StageHost

RULE = "OUTPUT -d {} -p tcp --dport 5432 -j DROP"


def cut_off(stage: Stage, replica: StageHost) -> None:
    """Drop what the replica's host sends to its primary, and end the connection there is."""
    tell(stage, replica, f"iptables -I {RULE.format(primary_of(stage).address)}")
    tell(stage, replica, "pkill -f '[w]alreceiver'")


def let_through(stage: Stage, replica: StageHost) -> None:
    stage.run(replica, f"iptables -D {RULE.format(primary_of(stage).address)}")


def inject(stage: Stage, host: StageHost) -> None:
    cut_off(stage, host)


def restore(stage: Stage, host: StageHost) -> None:
    let_through(stage, host)
    wait_in_step(stage)


def still_so(stage: Stage, host: StageHost) -> bool:
    """It is for a human: the rule is there, and nobody has touched the pair."""
    return not in_step(stage, host)


FAULT = Fault(
    name="pg_replica_cut_off",
    issue_type="replication_lag",
    settings=("lab",),
    alertname="PostgresReplicationBroken",
    expected_cause="replica_cut_off",
    expected_outcome="escalated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="the replica's host can't reach its primary",
    on="pg_replica",
    expected_actions=(),
    mended=still_so,
)
