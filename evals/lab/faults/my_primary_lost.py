"""The primary's data is damaged while its replica has long stopped receiving: nobody can take its place."""

from __future__ import annotations

from evals.lab.faults.on_host import tell
from evals.lab.faults.on_mariadb import follow_again, member, sql, write
from evals.lab.stage import Fault, Stage, StageHost

FILE = "/var/lib/mysql/ibdata1"


def inject(stage: Stage, host: StageHost) -> None:
    sql(stage, member(stage, "my_replica"), "STOP REPLICA")
    write(stage)
    damage(stage, host)


def damage(stage: Stage, host: StageHost) -> None:
    """The server does not start any more."""
    tell(stage, host, f"systemctl kill --signal=KILL mariadb; mv {FILE} {FILE}.1; systemctl stop mariadb")
    # it does not start, which is the fault
    stage.run(host, "systemctl start mariadb", timeout=60)


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, f"systemctl stop mariadb; [ -e {FILE}.1 ] && mv -f {FILE}.1 {FILE}")
    tell(stage, host, "systemctl reset-failed mariadb; systemctl start mariadb", timeout=60)
    follow_again(stage, member(stage, "my_replica"))


def mended(stage: Stage, host: StageHost) -> bool:
    """It is for a human: nobody may have made the replica take writes."""
    return sql(stage, member(stage, "my_replica"), "SELECT @@GLOBAL.read_only") == "1"


FAULT = Fault(
    name="my_primary_lost",
    issue_type="service_down",
    settings=("lab",),
    alertname="MariadbPrimaryDown",
    expected_cause="data_damaged",
    expected_outcome="escalated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="the primary's data is damaged, and its replica lacks what it wrote last",
    on="my_primary",
    expected_actions=(),
    mended=mended,
)
