"""The primary's data is damaged, and its replica has all of it: it takes the primary's place."""

from __future__ import annotations

from evals.lab.faults import my_primary_lost
from evals.lab.faults.on_host import tell
from evals.lab.faults.on_mariadb import in_step, member, settings, sql
from evals.lab.stage import Fault, LabError, Stage, StageHost


def inject(stage: Stage, host: StageHost) -> None:
    if not in_step(stage):
        raise LabError("the pair has to be in step first")
    my_primary_lost.damage(stage, host)


def restore(stage: Stage, host: StageHost) -> None:
    replica = member(stage, "my_replica")
    tell(stage, host, "systemctl enable mariadb")
    sql(stage, replica, "STOP REPLICA", "SET GLOBAL read_only = 1", settings(stage))
    my_primary_lost.restore(stage, host)


def mended(stage: Stage, host: StageHost) -> bool:
    replica = member(stage, "my_replica")
    takes_writes = sql(stage, replica, "SELECT @@GLOBAL.read_only") == "0"
    return takes_writes and stage.run(host, "systemctl is-enabled mariadb").returncode != 0


FAULT = Fault(
    name="my_primary_damaged",
    issue_type="service_down",
    settings=("lab",),
    alertname="MariadbPrimaryDown",
    expected_cause="data_damaged",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    kind="Database",
    says="the primary's data is damaged, and its replica lacks nothing",
    on="my_primary",
    expected_actions=("fence_primary", "promote_mariadb_replica"),
    mended=mended,
)
