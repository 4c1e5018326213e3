"""What mends PostgreSQL and its replication, from what was seen of it."""

from __future__ import annotations

from graph.facts import Facts
from graph.kind import Remedy
from graph.records import PlanStep, Resource

ACTIONS = (
    "resume_replay",
    "reload_replication",
    "restart_receiver",
    "end_session",
    "end_idle_sessions",
    "recreate_slot",
    "drop_slot",
    "rebuild_postgres_replica",
    "restore_postgres_data",
    "fence_primary",
    "promote_postgres_replica",
    "patroni_restart",
    "patroni_reinitialize",
)

Steps = tuple[PlanStep, ...]


def _resume(resource: Resource, target: str | None, facts: Facts) -> Steps:
    return (PlanStep(action="resume_replay", why="its replay is paused", expect="it replays what it has received"),)


def _reload(resource: Resource, target: str | None, facts: Facts) -> Steps:
    why = "its settings do not lead to its declared primary"
    return (PlanStep(action="reload_replication", why=why, expect="it follows its primary"),)


def _restart_receiver(resource: Resource, target: str | None, facts: Facts) -> Steps:
    pid, started = facts.value("repl.receiver_pid"), facts.value("repl.receiver_started")
    if not isinstance(pid, int) or not isinstance(started, str):
        return ()
    params = {"pid": pid, "started": started}
    return (PlanStep(action="restart_receiver", params=params, why="it takes nothing in", expect="a new one streams"),)


def _end(prefix: str, facts: Facts, why: str, expect: str) -> Steps:
    pid, started = facts.value(f"{prefix}_pid"), facts.value(f"{prefix}_started")
    if not isinstance(pid, int) or not isinstance(started, str):
        return ()
    return (PlanStep(action="end_session", params={"pid": pid, "started": started}, why=why, expect=expect),)


def _end_blocker(resource: Resource, target: str | None, facts: Facts) -> Steps:
    return _end("repl.blocker", facts, "replay waits for it", "replay goes on")


def _end_query(resource: Resource, target: str | None, facts: Facts) -> Steps:
    return _end("db.query", facts, "its query runs and runs", "the host has time for others")


def _recreate_slot(resource: Resource, target: str | None, facts: Facts) -> Steps:
    return (PlanStep(action="recreate_slot", why="its slot is gone", expect="it streams again"),)


def _rebuild(resource: Resource, target: str | None, facts: Facts) -> Steps:
    primary = facts.value("repl.primary")
    if not isinstance(primary, str):
        return ()
    lost = facts.value("repl.slot_exists") is False or facts.value("repl.slot_wal_status") == "lost"
    copy = PlanStep(
        action="rebuild_postgres_replica",
        params={"primary": primary},
        why="what it lacks is gone",
        expect=f"a fresh copy of {primary} that streams",
    )
    return (*(_recreate_slot(resource, target, facts) if lost else ()), copy)


def _drop_slot(resource: Resource, target: str | None, facts: Facts) -> Steps:
    """Only of nobody: a declared replica's slot is its own."""
    slot = facts.value("repl.dead_slot")
    if not isinstance(slot, str) or facts.first("repl.dead_slot_peer") is not None:
        return ()
    step = PlanStep(
        action="drop_slot",
        params={"slot": slot},
        why="nobody uses it and it keeps the log",
        expect="the log it kept can be removed",
    )
    return (step,)


def _fail_over(resource: Resource, target: str | None, facts: Facts) -> Steps:
    """To a replica that lacks nothing it may not lack; none where there is no such one."""
    safe = next((fact.labels["peer"] for fact in facts.where("repl.peer_safe", True)), None)
    if safe is None or resource.database is None or resource.database.role != "primary":
        return ()
    if resource.database.engine != "postgresql" or resource.database.patroni_url:
        return ()
    return (
        PlanStep(
            action="fence_primary",
            params={"by": "service" if facts.value("host.reachable") is True else "provider"},
            why="two primaries would cost more than one that is lost",
            expect="it can take no writes",
        ),
        PlanStep(
            action="promote_postgres_replica",
            params={"replica": safe},
            why="the primary does not come back",
            expect=f"{safe} takes writes",
        ),
    )


def _patroni_restart(resource: Resource, target: str | None, facts: Facts) -> Steps:
    return (PlanStep(action="patroni_restart", why="the member does not run", expect="it follows its leader"),)


def _patroni_reinitialize(resource: Resource, target: str | None, facts: Facts) -> Steps:
    why = "a restart did not help"
    return (PlanStep(action="patroni_reinitialize", why=why, expect="a fresh copy of the leader that streams"),)


PATRONI_RESTART = Remedy("patroni_restart", "have Patroni restart it", _patroni_restart, ("patroni_restart",))
PATRONI_REINITIALIZE = Remedy(
    "patroni_reinitialize", "have Patroni copy the leader to it", _patroni_reinitialize, ("patroni_reinitialize",)
)
RESUME = Remedy("resume_replay", "resume the replay", _resume, ("resume_replay",))
RELOAD = Remedy("reload_replication", "set the declared primary and reload", _reload, ("reload_replication",))
RESTART_RECEIVER = Remedy(
    "restart_receiver", "end the WAL receiver, which is replaced at once", _restart_receiver, ("restart_receiver",)
)
END_BLOCKER = Remedy("end_session", "end the session replay waits for", _end_blocker, ("end_session",))
END_QUERY = Remedy("end_session", "end the session of the query", _end_query, ("end_session",))
RECREATE_SLOT = Remedy("recreate_slot", "make the slot anew", _recreate_slot, ("recreate_slot",))
REBUILD = Remedy(
    "rebuild_replica",
    "copy the primary afresh; the old data is kept",
    _rebuild,
    ("recreate_slot", "rebuild_postgres_replica"),
)
DROP_SLOT = Remedy("drop_slot", "drop the slot, where it is of no declared member", _drop_slot, ("drop_slot",))
FAIL_OVER = Remedy(
    "fail_over",
    "make sure the primary takes no writes, and promote a replica that lacks nothing",
    _fail_over,
    ("fence_primary", "promote_postgres_replica"),
)
