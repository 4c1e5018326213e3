"""An application opens transactions and never ends them, until hardly a connection is left."""

from __future__ import annotations

from evals.lab.faults.on_mariadb import TABLE, hold, member, release, sql
from evals.lab.stage import Fault, Stage, StageHost

MOST = 30
"""Connections the server allows meanwhile: each costs the host a client's memory."""
LEFT = 2
"""So that its exporter can still log in: without it nothing would alert."""
OTHERS = 2
"""Who is logged in besides: the exporter and the replica."""
KEPT = 900


def inject(stage: Stage, host: StageHost) -> None:
    sql(stage, host, f"SET GLOBAL max_connections = {MOST}")
    one = f"{{ echo 'BEGIN; SELECT COUNT(*) FROM {TABLE};'; sleep {KEPT}; }} | mariadb --unbuffered"
    hold(stage, host, f"for n in $(seq {MOST - LEFT - OTHERS}); do {one} & done; wait")


def restore(stage: Stage, host: StageHost) -> None:
    release(stage, host)
    sql(stage, host, "SET GLOBAL max_connections = 151")


def mended(stage: Stage, host: StageHost) -> bool:
    open_ones = sql(stage, member(stage, "my_primary"), "SELECT COUNT(*) FROM information_schema.innodb_trx")
    restore(stage, host)
    return int(open_ones) < MOST // 4


FAULT = Fault(
    name="my_idle_transactions",
    issue_type="connection_timeout",
    settings=("lab",),
    alertname="MariadbConnectionsExhausted",
    expected_cause="sessions_idle",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="idle transactions take nearly all connections",
    on="my_primary",
    expected_actions=("end_idle_sessions",),
    mended=mended,
)
