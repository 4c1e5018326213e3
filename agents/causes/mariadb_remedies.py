"""What mends a MariaDB or MySQL server: steps made from the resource and what was seen of it."""

from __future__ import annotations

from graph.facts import Facts
from graph.kind import Remedy
from graph.records import PlanStep, Resource

ACTIONS: tuple[str, ...] = (
    "start_replication",
    "restart_replication",
    "repoint_replica",
    "end_session",
    "end_idle_sessions",
    "rebuild_mariadb_replica",
    "restore_replica_data",
    "fence_primary",
    "promote_mariadb_replica",
)

ENGINES = ("mariadb", "mysql")


def _start(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    thread = target if target in ("receiver", "applier") else "both"
    return (PlanStep(action="start_replication", params={"thread": thread}, why="it is stopped", expect="it follows"),)


def _restart(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    return (PlanStep(action="restart_replication", why="its connection seems dead", expect="it receives again"),)


def _repoint(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    primary = facts.value("repl.primary")
    if not isinstance(primary, str):
        return ()
    step = PlanStep(
        action="repoint_replica",
        params={"source": primary},
        why="its settings do not lead to its primary",
        expect=f"it follows {primary}",
    )
    return (step,)


def _rebuild(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    primary = facts.value("repl.primary")
    if not isinstance(primary, str) or resource.transport == "none":
        return ()
    rebuild = PlanStep(
        action="rebuild_mariadb_replica",
        params={"primary": primary},
        why="its data is no longer its primary's, and what it lacks can't be had otherwise",
        expect="it has its primary's data",
    )
    return (rebuild, *_repoint(resource, target, facts))


def _fail_over(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    """To a replica that was receiving to the end and has applied it all; none where there is no such one."""
    if resource.database is None or resource.database.role != "primary" or resource.database.engine not in ENGINES:
        return ()
    by_service = facts.value("host.reachable") is True
    if not by_service and resource.provider.name == "none" and not resource.host:
        return ()  # nothing could prove that it is fenced
    safe = next((fact.labels["peer"] for fact in facts.where("repl.peer_safe", True)), None)
    if safe is None:
        return ()
    fence = PlanStep(
        action="fence_primary",
        params={"by": "service" if by_service else "provider"},
        why="two primaries would cost more than one that is lost",
        expect="it can take no writes",
    )
    promote = PlanStep(
        action="promote_mariadb_replica",
        params={"replica": safe},
        why="the primary does not come back",
        expect=f"{safe} takes writes",
    )
    return (fence, promote)


def _end_blocker(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    pid, started = facts.value("repl.blocker_pid"), facts.value("repl.blocker_started")
    if not isinstance(pid, int) or not isinstance(started, str):
        return ()
    step = PlanStep(
        action="end_session",
        params={"pid": pid, "started": started},
        why="it holds the lock that applying waits for",
        expect="applying goes on",
    )
    return (step,)


START = Remedy("start_replication", "start what was stopped", _start, ("start_replication",))
RESTART = Remedy("restart_replication", "stop and start replication", _restart, ("restart_replication",))
REPOINT = Remedy("repoint_replica", "set the declared source again", _repoint, ("repoint_replica",))
END_BLOCKER = Remedy("end_session", "end the session that holds the lock", _end_blocker, ("end_session",))
REBUILD = Remedy(
    "rebuild_replica",
    "copy the primary afresh, and follow it from there",
    _rebuild,
    ("rebuild_mariadb_replica", "repoint_replica"),
)


FAIL_OVER = Remedy(
    "fail_over",
    "make sure the primary takes no writes, and promote a replica that lacks nothing",
    _fail_over,
    ("fence_primary", "promote_mariadb_replica"),
)


def _rebuild_replica(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    declared = resource.database.role if resource.database else ""
    return _rebuild(resource, target, facts) if declared == "replica" else ()


REBUILD_DAMAGED = Remedy(
    "rebuild_replica",
    "copy the primary afresh in place of what is damaged",
    _rebuild_replica,
    ("rebuild_mariadb_replica", "repoint_replica"),
)
