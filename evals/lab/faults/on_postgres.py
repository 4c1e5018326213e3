"""What faults of PostgreSQL have in common: the pair's members, asked and told on their own hosts."""

from __future__ import annotations

import shlex

from evals.lab.faults.on_host import tell
from evals.lab.faults.on_mariadb import member
from evals.lab.postgres import BIN, DATA, UNIT, as_postgres, copy, set_up, sql
from evals.lab.probing import wait_until
from evals.lab.stage import LabError, Stage, StageHost

SESSION = "batch9"
"""The unit in which sessions of a fault live."""
CATCH_UP = 40.0


def primary_of(stage: Stage) -> StageHost:
    """The host of the pair's first server."""
    return member(stage, "pg_primary")


def replica_of(stage: Stage) -> StageHost:
    """The host of the pair's second server."""
    return member(stage, "pg_replica")


def write(stage: Stage, mib: int = 24, host: StageHost | None = None) -> None:
    """That much log on the primary, which a replica that does not follow will lack. It takes no room as data."""
    one = "pg_logical_emit_message(false, 'shop', repeat('x', 1048576))"
    statement = f"select count({one}) from generate_series(1, {mib})"
    sql(stage, host or primary_of(stage), statement, timeout=60)
    sql(stage, host or primary_of(stage), "insert into orders (what) values ('bread')")


def in_step(stage: Stage, host: StageHost | None = None) -> bool:
    """Whether what is written to the primary now arrives on the replica: asked of both, around the product."""
    try:
        sql(stage, primary_of(stage), "insert into orders (what) values ('rye')")
        wait_until(lambda: None if _same(stage) else "not in step", 5, "the pair is in step", every=0.2)
    except LabError:
        return False
    return True


def wait_in_step(stage: Stage, host: StageHost | None = None) -> None:
    """Return when the replica has caught up. Raises LabError."""
    wait_until(lambda: None if in_step(stage) else "not in step", CATCH_UP, "the replica has caught up", every=0.5)


def begin_anew(stage: Stage, host: StageHost) -> None:
    """A new pair, with new data, whatever became of the old."""
    set_up(stage, primary_of(stage), replica_of(stage))
    wait_in_step(stage)


def copy_again(stage: Stage, host: StageHost) -> None:
    """The replica gets a fresh copy of its primary."""
    copy(stage, primary_of(stage), replica_of(stage))
    wait_in_step(stage)


def set_conninfo(stage: Stage, host: StageHost, conninfo: str) -> str:
    """Set whom the replica follows, and reload; returns what it was."""
    was = sql(stage, host, "select current_setting('primary_conninfo')")
    quoted = conninfo.replace("'", "''")
    sql(stage, host, f"alter system set primary_conninfo = '{quoted}'")
    sql(stage, host, "select pg_reload_conf()")
    return was


def hold(stage: Stage, host: StageHost, statements: tuple[str, ...], seconds: int = 600, times: int = 1) -> None:
    """Sessions that say this and then stay, in a unit of their own."""
    said = "; ".join(statements) + ";"
    one = f"{{ echo {shlex.quote(said)}; sleep {seconds}; }} | {BIN}/psql -h /run/postgresql -d postgres -Atq"
    line = f"for n in $(seq {times}); do {one} & done; wait"
    tell(stage, host, f"systemd-run --quiet --collect --uid=postgres --unit={SESSION} sh -c {shlex.quote(line)}")


def release(stage: Stage, host: StageHost) -> None:
    """End what `hold` began, where it still runs."""
    stage.run(host, f"systemctl stop {SESSION} 2>/dev/null")


def _same(stage: Stage) -> bool:
    asked = "select count(*), max(id) from orders"
    return sql(stage, primary_of(stage), asked) == sql(stage, replica_of(stage), asked)


__all__ = (
    "BIN", "DATA", "UNIT", "as_postgres", "begin_anew", "copy_again", "hold", "in_step", "primary_of", "release",
    "replica_of", "set_conninfo", "sql", "tell", "wait_in_step", "write",
)  # fmt: skip
