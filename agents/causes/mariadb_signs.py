"""What speaks for each cause of trouble of a MariaDB or MySQL server: facts in, a match out."""

from __future__ import annotations

import re

from agents.causes.asked import is_so
from graph.facts import Fact, Facts
from graph.kind import Match
from graph.records import Resource

LOG_IS_GONE = 1236
LOGIN_REFUSED = (1044, 1045, 1130, 1396, 1698)
UNKNOWN_HOST = 2005
PASSING = (1205, 1213)
"""A lock not had in time, a deadlock: trying again may well succeed."""
CROWDED_PERCENT = 90.0
BUSY_SESSIONS = 8
_GONE = re.compile(r"could not find|purged|not in the master|not in the source|too old", re.IGNORECASE)


def replication_stopped(facts: Facts, resource: Resource) -> Match | None:
    """Somebody stopped it: a thread that stands without an error, or on one that passes."""
    follows = is_so(facts, "repl.follows", True)
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
    applying, lag = is_so(facts, "repl.applying", True), facts.first("repl.lag_seconds")
    holder, waits = facts.first("repl.blocker_pid"), is_so(facts, "repl.waits_for_lock", True)
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
    alone, writable = is_so(facts, "repl.follows", False), is_so(facts, "db.writable", False)
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
    reach, right = is_so(facts, "repl.primary_reachable", False), is_so(facts, "repl.source_declared", True)
    if lost is None or primary is None or reach is None or right is None or not _primary_answers(facts, primary):
        return None
    words = f"the replica's host can't reach {primary.value}, which answers others: a firewall, a route or a link"
    return Match(0.95, [lost, reach, right, primary], words, resource.id)


def receiver_stalled(facts: Facts, resource: Resource) -> Match | None:
    """It says that it receives and does not: its connection is dead and it has not noticed."""
    receiving, unreceived = is_so(facts, "repl.receiving", True), facts.first("repl.unreceived")
    applying, waits = is_so(facts, "repl.applying", True), facts.first("repl.waits_for_lock")
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
    applier, errno = is_so(facts, "repl.applier", "no"), facts.first("repl.applier_errno")
    if applier is None or errno is None or errno.value in PASSING:
        return None
    error = facts.first("repl.error")
    cites = [applier, errno, *([error] if error else []), *facts.where("repl.own_writes", True)]
    said = f": {str(error.value)[:90]}" if error else ""
    return Match(0.97, cites, f"applying stopped on error {errno.value}{said}", resource.id)


def binlog_lost(facts: Facts, resource: Resource) -> Match | None:
    """What it needs next is no longer in its primary's log."""
    errno, error = is_so(facts, "repl.receiver_errno", LOG_IS_GONE), facts.first("repl.error")
    if errno is None or error is None or not _GONE.search(str(error.value)):
        return None
    return Match(0.97, [errno, error], "the primary no longer has the log the replica needs next", resource.id)


def source_refuses_log(facts: Facts, resource: Resource) -> Match | None:
    """Its primary can't send its log, and not because it is gone."""
    errno, error = is_so(facts, "repl.receiver_errno", LOG_IS_GONE), facts.first("repl.error")
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
    receiving, applying = is_so(facts, "repl.receiving", True), is_so(facts, "repl.applying", True)
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


def primary_out_of_reach(facts: Facts, resource: Resource) -> Match | None:
    """A primary whose host is silent, too: whether it takes writes of others nobody can tell."""
    silent, lost = is_so(facts, "db.accepting", False), is_so(facts, "host.reachable", False)
    if silent is None or lost is None or resource.database is None or resource.database.role != "primary":
        return None
    if facts.value("host.unreachable_how") in ("auth", "host_key"):
        return None
    safe, unsafe = list(facts.where("repl.peer_safe", True)), list(facts.all("repl.peer_unsafe_why"))
    words = "the primary and its host are silent"
    words += f"; {safe[0].labels['peer']} lacks nothing" if safe else "; no replica can safely take its place"
    return Match(0.9, [silent, lost, *safe, *unsafe], words, resource.id)


def _not_receiving(facts: Facts) -> Fact | None:
    """It tries and does not get through; one that was stopped does not even try."""
    receiving = is_so(facts, "repl.receiving", False)
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
