"""Why a MariaDB or MySQL server, or its replication, is in trouble.

What stopped on an event that can't be applied is never skipped: the replica would then differ from its primary without
anybody knowing. It is rebuilt.
"""

from __future__ import annotations

import re
from dataclasses import replace

from graph.facts import Fact, Facts
from graph.kind import Cause, Match, Remedy
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
LOG_IS_GONE = 1236
LOGIN_REFUSED = (1044, 1045, 1130, 1396, 1698)
UNKNOWN_HOST = 2005
UNREACHABLE = (2002, 2003, 2013)
PASSING = (1205, 1213)
"""A lock not had in time, a deadlock: trying again may well succeed."""
CROWDED_PERCENT = 90.0
IDLE_SECONDS = 10
BUSY_SESSIONS = 8
_GONE = re.compile(r"could not find|purged|not in the master|not in the source|too old", re.IGNORECASE)


# -- what speaks for a cause ---------------------------------------------------------------------------


def replication_stopped(facts: Facts, resource: Resource) -> Match | None:
    """Somebody stopped it: a thread that stands without an error, or on one that passes."""
    follows = _is(facts, "repl.follows", True)
    receiver, applier = facts.first("repl.receiver"), facts.first("repl.applier")
    if follows is None or receiver is None or applier is None:
        return None
    stopped = [
        (name, thread)
        for name, thread in (("receiver", receiver), ("applier", applier))
        if thread.value == "no" and facts.value(f"repl.{name}_errno") in (None, *PASSING)
    ]
    if not stopped or _failed(facts):
        return None
    target = "both" if len(stopped) == 2 else stopped[0][0]
    passing = [fact for name, _ in stopped for fact in facts.all(f"repl.{name}_errno")]
    why = "gave up waiting for a lock" if passing else "was stopped"
    return Match(0.95, [follows, *(thread for _, thread in stopped), *passing], _words(target, why), target)


def applier_blocked(facts: Facts, resource: Resource) -> Match | None:
    """It is behind because a session of the replica itself holds a lock."""
    applying, lag = _is(facts, "repl.applying", True), facts.first("repl.lag_seconds")
    holder, waits = facts.first("repl.blocker_pid"), _is(facts, "repl.waits_for_lock", True)
    if applying is None or lag is None or not lag.value or (holder is None and waits is None):
        return None
    cites = [fact for fact in (applying, lag, holder, waits, facts.first("repl.blocker_seconds")) if fact]
    if holder is None:
        return Match(0.85, cites, "applying waits for a lock, and who holds it is not certain", resource.id)
    user = facts.value("repl.blocker_user")
    words = f"applying waits for a lock of session {holder.value} ({user})"
    return Match(0.95, cites, words, str(holder.value))


def source_settings_broken(facts: Facts, resource: Resource) -> Match | None:
    """It can't log in to its source, or looks for it where it is not."""
    lost, primary = _not_receiving(facts), facts.first("repl.primary")
    if lost is None or primary is None or not _primary_answers(facts, primary):
        return None
    errno, as_declared = facts.first("repl.receiver_errno"), facts.first("repl.source_declared")
    source = facts.value("repl.source")
    if errno is not None and errno.value in LOGIN_REFUSED:
        words = f"the source {source} refuses the replica's login ({errno.value})"
    elif as_declared is not None and as_declared.value is False:
        words = f"it follows {source}, not its declared primary {primary.value}"
    elif errno is not None and errno.value == UNKNOWN_HOST:
        words = f"nobody knows the host it follows: {source}"
    else:
        return None
    cites = [fact for fact in (lost, errno, as_declared, primary) if fact]
    return Match(0.96, cites, words, str(primary.value))


def source_forgotten(facts: Facts, resource: Resource) -> Match | None:
    """It follows nobody, and takes no writes: it was a replica, and is declared to be one."""
    alone, writable = _is(facts, "repl.follows", False), _is(facts, "db.writable", False)
    primary = facts.first("repl.primary")
    if alone is None or writable is None or primary is None or not _primary_answers(facts, primary):
        return None
    words = f"it follows nobody, and is declared to follow {primary.value}"
    return Match(0.96, [alone, writable, primary], words, str(primary.value))


def access_refused(facts: Facts, resource: Resource) -> Match | None:
    """It is up, and does not let us in."""
    how = facts.first("db.unreachable_how")
    if how is None or how.value not in ("auth", "config"):
        return None
    return Match(0.9, [how], "the database does not let us in: nothing of it can be seen or repaired", resource.id)


def source_out_of_reach(facts: Facts, resource: Resource) -> Match | None:
    """Its settings are right and its primary answers us, but not the replica's own host."""
    lost, primary = _not_receiving(facts), facts.first("repl.primary")
    reach, right = _is(facts, "repl.primary_reachable", False), _is(facts, "repl.source_declared", True)
    if lost is None or primary is None or reach is None or right is None or not _primary_answers(facts, primary):
        return None
    words = f"the replica's host can't reach {primary.value}, which answers others: a firewall, a route or a link"
    return Match(0.95, [lost, reach, right, primary], words, resource.id)


def receiver_stalled(facts: Facts, resource: Resource) -> Match | None:
    """It says that it receives and does not: its connection is dead and it has not noticed."""
    receiving, unreceived = _is(facts, "repl.receiving", True), facts.first("repl.unreceived")
    applying, waits = _is(facts, "repl.applying", True), facts.first("repl.waits_for_lock")
    if receiving is None or applying is None or waits is not None or facts.first("repl.blocker_pid"):
        return None
    if unreceived is None or not isinstance(unreceived.value, int) or unreceived.value < 2:
        return None
    lag = facts.value("repl.lag_seconds")
    if isinstance(lag, int | float) and lag > 1:
        return None  # it gets something: it is slow, not deaf
    words = f"it says it receives, and lacks {unreceived.value} transactions of its primary"
    return Match(0.9, [receiving, applying, unreceived], words, resource.id)


def applier_failed(facts: Facts, resource: Resource) -> Match | None:
    """It stopped on an event it can't apply: its data differs from its primary's."""
    applier, errno = _is(facts, "repl.applier", "no"), facts.first("repl.applier_errno")
    if applier is None or errno is None or errno.value in PASSING:
        return None
    error = facts.first("repl.error")
    cites = [applier, errno, *([error] if error else []), *facts.where("repl.own_writes", True)]
    said = f": {str(error.value)[:90]}" if error else ""
    return Match(0.97, cites, f"applying stopped on error {errno.value}{said}", resource.id)


def binlog_lost(facts: Facts, resource: Resource) -> Match | None:
    """What it needs next is no longer in its primary's log."""
    errno, error = _is(facts, "repl.receiver_errno", LOG_IS_GONE), facts.first("repl.error")
    if errno is None or error is None or not _GONE.search(str(error.value)):
        return None
    return Match(0.97, [errno, error], "the primary no longer has the log the replica needs next", resource.id)


def source_refuses_log(facts: Facts, resource: Resource) -> Match | None:
    """Its primary can't send its log, and not because it is gone."""
    errno, error = _is(facts, "repl.receiver_errno", LOG_IS_GONE), facts.first("repl.error")
    if errno is None or (error is not None and _GONE.search(str(error.value))):
        return None
    return Match(0.9, [errno, *([error] if error else [])], "the primary fails to send its log (1236)", resource.id)


def sessions_idle(facts: Facts, resource: Resource) -> Match | None:
    """Its connections are taken by sessions that keep a transaction open and do nothing."""
    idle, percent = facts.first("db.idle_in_transaction"), facts.first("db.connections_percent")
    used, most = facts.value("db.connections_used"), facts.value("db.connections_max")
    if idle is None or percent is None or not isinstance(idle.value, int) or not isinstance(most, int):
        return None
    crowded = isinstance(percent.value, int | float) and percent.value >= CROWDED_PERCENT
    if not crowded or idle.value < max(2, most // 4):
        return None
    cites = [idle, percent, *facts.all("db.idle_seconds")]
    words = f"{used} of {most} connections are taken, {idle.value} of them idle inside a transaction"
    return Match(0.95, cites, words, resource.id)


def applier_slow(facts: Facts, resource: Resource) -> Match | None:
    """Both threads run, nothing blocks, and it is behind: more is written than it can take."""
    receiving, applying = _is(facts, "repl.receiving", True), _is(facts, "repl.applying", True)
    lag = facts.first("repl.lag_seconds")
    most = resource.database.max_lag_seconds if resource.database else 0
    if receiving is None or applying is None or lag is None or facts.first("repl.waits_for_lock"):
        return None
    if not isinstance(lag.value, int | float) or lag.value <= most or facts.first("repl.blocker_pid"):
        return None
    primary = str(facts.value("repl.primary") or "")
    busy = [
        fact
        for fact in facts.all("repl.peer_active", peer=primary)
        if isinstance(fact.value, int) and fact.value >= BUSY_SESSIONS
    ]
    words = f"it receives and applies, and is {lag.value:g} s behind"
    words += f"; its primary runs {busy[0].value} statements at once" if busy else ""
    return Match(0.85 if busy else 0.7, [receiving, applying, lag, *busy], words, resource.id)


def data_damaged(facts: Facts, resource: Resource) -> Match | None:
    """Its server does not start, as it can't open its own data."""
    for state in facts.all("unit.state"):
        unit = state.labels["unit"]
        damaged = next(facts.where("journal.data_damaged", True, unit=unit), None)
        if damaged is None or state.value == "running" or resource.database is None:
            continue
        unsafe = list(facts.all("repl.peer_unsafe_why"))
        words = f"{unit} can't open its own data and does not start"
        if resource.database.role == "primary" and not list(facts.where("repl.peer_safe", True)):
            why = f": {unsafe[0].labels['peer']}: {unsafe[0].value}" if unsafe else ""
            words += f", and no replica can safely take its place{why}"
        return Match(0.99, [damaged, state, *unsafe], words, unit)
    return None


def _is(facts: Facts, name: str, value: object) -> Fact | None:
    fact = facts.first(name)
    return fact if fact is not None and fact.value == value else None


def _not_receiving(facts: Facts) -> Fact | None:
    """It tries and does not get through; one that was stopped does not even try."""
    receiving = _is(facts, "repl.receiving", False)
    stopped = facts.value("repl.receiver") == "no" and facts.first("repl.receiver_errno") is None
    return None if stopped else receiving


def _failed(facts: Facts) -> bool:
    """Whether either thread stands on an error that does not pass."""
    found = (facts.value(f"repl.{name}_errno") for name in ("receiver", "applier"))
    return any(value is not None and value not in PASSING for value in found)


def _primary_answers(facts: Facts, primary: Fact) -> bool:
    return facts.value("repl.peer_accepting", peer=str(primary.value)) is True


def _words(target: str, why: str) -> str:
    return {"both": f"replication {why}"}.get(target, f"the replica's {target} {why}")


# -- what mends it ---------------------------------------------------------------------------------------


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
    safe = next((fact.labels["peer"] for fact in facts.where("repl.peer_safe", True)), None)
    if safe is None:
        return ()
    fence = PlanStep(
        action="fence_primary",
        params={"by": "service" if facts.value("host.reachable") is True else "provider"},
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


def _end_idle(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    seconds = facts.value("db.idle_seconds")
    young = IDLE_SECONDS - int(seconds) if isinstance(seconds, int | float) else 0
    wait = PlanStep(
        action="wait",
        params={"seconds": young + 1, "until": "elapsed"},
        why="only who is idle for long is ended",
        expect="those at work have ended by themselves",
    )
    step = PlanStep(
        action="end_idle_sessions",
        params={"min_seconds": IDLE_SECONDS},
        why="they hold connections and do nothing",
        expect="there is room for those who work",
    )
    return (wait, step) if young > 0 else (step,)


START = Remedy("start_replication", "start what was stopped", _start, ("start_replication",))
RESTART = Remedy("restart_replication", "stop and start replication", _restart, ("restart_replication",))
REPOINT = Remedy("repoint_replica", "set the declared source again", _repoint, ("repoint_replica",))
END_BLOCKER = Remedy("end_session", "end the session that holds the lock", _end_blocker, ("end_session",))
END_IDLE = Remedy(
    "end_idle_sessions", "end sessions idle inside a transaction", _end_idle, ("wait", "end_idle_sessions")
)
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


def _mine(cause: Cause) -> Cause:
    """For MariaDB and MySQL alone: facts of other engines bear the same names."""

    def signature(facts: Facts, resource: Resource) -> Match | None:
        database = resource.database
        return cause.signature(facts, resource) if database and database.engine in ENGINES else None

    return replace(cause, signature=signature)


CAUSES: tuple[Cause, ...] = tuple(
    _mine(cause)
    for cause in (
        Cause(
            "replication_stopped",
            "a replica's receiving or applying was stopped, without an error",
            "replication_lag",
            replication_stopped,
            (START,),
        ),
        Cause(
            "applier_blocked",
            "a session on the replica holds a lock that applying waits for",
            "replication_lag",
            applier_blocked,
            (END_BLOCKER,),
            human_must="find the session that holds the lock: `INSTALL SONAME 'metadata_lock_info'` makes it visible",
        ),
        Cause(
            "source_settings_broken",
            "the replica's settings do not lead to its declared primary",
            "replication_lag",
            source_settings_broken,
            (REPOINT,),
        ),
        Cause(
            "source_forgotten",
            "a declared replica follows nobody",
            "replication_lag",
            source_forgotten,
            (REPOINT,),
        ),
        Cause(
            "database_access_refused",
            "the database is up but does not let us in",
            "unknown",
            access_refused,
            human_must="check database.user and password_file of this resource, and from where that user may connect",
        ),
        Cause(
            "source_out_of_reach",
            "the replica's host can't reach its primary, which answers others",
            "replication_lag",
            source_out_of_reach,
            human_must="mend the network between the replica's host and its primary",
        ),
        Cause(
            "receiver_stalled",
            "the replica says it receives, and gets nothing",
            "replication_lag",
            receiver_stalled,
            (RESTART,),
        ),
        Cause(
            "applier_failed",
            "applying stopped on an event that can't be applied: the replica differs from its primary",
            "replication_lag",
            applier_failed,
            (REBUILD,),
            human_must="rebuild the replica; skipping the event would hide that its data differs",
        ),
        Cause(
            "binlog_lost",
            "the primary no longer has the log the replica needs",
            "replication_lag",
            binlog_lost,
            (REBUILD,),
            human_must="rebuild the replica: what it lacks is gone",
        ),
        Cause(
            "source_refuses_log",
            "the primary fails to send its log",
            "replication_lag",
            source_refuses_log,
            human_must="look at the error in the evidence: the primary can't read or send its own log",
        ),
        Cause(
            "applier_slow",
            "the replica applies less than its primary writes",
            "replication_lag",
            applier_slow,
            human_must="more is written than the replica can apply: find the load, or allow parallel applying",
        ),
        Cause(
            "data_damaged",
            "the server does not start, as it can't open its own data",
            "service_down",
            data_damaged,
            (FAIL_OVER, REBUILD_DAMAGED),
            human_must="its data is damaged: restore it from a backup, or decide which replica's loss can be borne",
        ),
        Cause(
            "sessions_idle",
            "sessions idle inside a transaction take up the connections",
            "connection_timeout",
            sessions_idle,
            (END_IDLE,),
        ),
    )
)
