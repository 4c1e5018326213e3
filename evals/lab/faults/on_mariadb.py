"""What faults of MariaDB have in common: the members of the lab's pair, asked and told as root on their own hosts,
around the product.
"""

from __future__ import annotations

import shlex

from evals.lab.faults.on_host import tell
from evals.lab.mariadb import change_source
from evals.lab.probing import wait_until
from evals.lab.stage import LabError, Role, Stage, StageHost

TABLE = "shop.orders"
SESSION = "batch9"
"""The unit in which sessions of a fault live."""
CATCH_UP = 40.0


def member(stage: Stage, role: Role) -> StageHost:
    """The host with that role. Raises LabError where the stage has none."""
    for host in stage.hosts:
        if host.role == role:
            return host
    raise LabError(f"this stage has no {role}")


def sql(stage: Stage, host: StageHost, *statements: str, timeout: float = 15.0) -> str:
    """What the last one prints, without headings. Raises LabError with what the server said."""
    done = tell(stage, host, f"mariadb -N -B -e {shlex.quote('; '.join(statements))}", timeout)
    return done.stdout.strip()


def write(stage: Stage, rows: int = 3) -> None:
    """New orders on the primary: what a replica that does not follow will lack."""
    values = ", ".join(["('bread')"] * rows)
    sql(stage, member(stage, "my_primary"), f"INSERT INTO {TABLE} (what) VALUES {values}")


def state(stage: Stage, host: StageHost) -> dict[str, str]:
    """SHOW REPLICA STATUS by name; empty for one that follows nobody."""
    lines = tell(stage, host, "mariadb -e 'SHOW REPLICA STATUS\\G'").stdout.splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines) if value}


def in_step(stage: Stage, replica: StageHost | None = None) -> bool:
    """Whether what is written to the primary now arrives on the replica: asked of both, around the product."""
    primary = member(stage, "my_primary")
    try:
        write(stage, 1)
        wait_until(lambda: None if same(stage, primary) else "not in step", 5, "the pair is in step", every=0.2)
    except LabError:
        return False
    return True


def same(stage: Stage, primary: StageHost) -> bool:
    """Whether both have the same orders."""
    asked = f"SELECT COUNT(*), MAX(id) FROM {TABLE}"
    return sql(stage, primary, asked) == sql(stage, member(stage, "my_replica"), asked)


def follow_again(stage: Stage, host: StageHost, *changes: str) -> None:
    """The replica follows again, with these settings first, and has caught up. Raises LabError."""
    sql(stage, host, "STOP REPLICA", *changes, "START REPLICA")
    wait_until(lambda: None if in_step(stage) else "not in step", CATCH_UP, "the replica has caught up", every=0.5)


def settings(stage: Stage) -> str:
    """The statement by which a replica is told whom to follow, and how."""
    return change_source(member(stage, "my_primary"))


def hold(stage: Stage, host: StageHost, script: str) -> None:
    """Run `script` (shell) on the host in a unit of its own, and leave it running."""
    tell(stage, host, f"systemd-run --quiet --collect --unit={SESSION} sh -c {shlex.quote(script)}")


def release(stage: Stage, host: StageHost) -> None:
    """End what `hold` began, where it still runs."""
    stage.run(host, f"systemctl stop {SESSION} 2>/dev/null")


def copy_again(stage: Stage, host: StageHost) -> None:
    """The replica gets its primary's orders anew, by hand, and follows from there. Raises LabError."""
    primary = member(stage, "my_primary")
    position = sql(stage, primary, "SELECT @@GLOBAL.gtid_binlog_pos")
    rows = sql(stage, primary, f"SELECT id, QUOTE(what) FROM {TABLE} ORDER BY id").splitlines()
    values = ", ".join(f"({number}, {what})" for number, what in (row.split("\t") for row in rows))
    follow_again(
        stage,
        host,
        "SET sql_log_bin = 0",
        f"DELETE FROM {TABLE}",
        f"INSERT INTO {TABLE} (id, what) VALUES {values}",
        "RESET MASTER",
        f"SET GLOBAL gtid_slave_pos = '{position}'",
        settings(stage),
    )


def forget_old_data(stage: Stage, host: StageHost) -> None:
    """Remove what a rebuild has set aside."""
    tell(stage, host, "rm -rf /var/lib/mysql.before /var/lib/mysql.rebuilding")
