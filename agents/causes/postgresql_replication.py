"""Why a PostgreSQL replica does not follow its primary: signatures. The causes are declared in `postgresql`."""

from __future__ import annotations

from agents.causes.asked import is_so, more
from graph.facts import Fact, Facts
from graph.kind import Match
from graph.records import Resource

SATURATED = 1.5
"""Load for each processor beyond which a primary's host is saturated."""
SILENT_SECONDS = 3.0


def replay_paused(facts: Facts, resource: Resource) -> Match | None:
    applying, follows = is_so(facts, "repl.applying", False), is_so(facts, "repl.follows", True)
    if applying is None or follows is None:
        return None
    return Match(0.96, [follows, applying], "its replay is paused", resource.id)


def settings_broken(facts: Facts, resource: Resource) -> Match | None:
    """It does not receive, and its settings do not lead to its primary, which is well."""
    lost, primary = is_so(facts, "repl.receiving", False), _good_primary(facts)
    wrong = [fact for name in ("source", "slot") for fact in facts.where(f"repl.{name}_declared", False)]
    if lost is None or primary is None or not wrong:
        return None
    what = "follows " + str(facts.value("repl.source") or "nobody")
    words = f"it {what}" if wrong[0].name == "repl.source_declared" else "it asks for a slot that is not its own"
    return Match(0.96, [lost, *wrong, primary], f"{words}; declared is {primary.labels['peer']}", resource.id)


def replica_cut_off(facts: Facts, resource: Resource) -> Match | None:
    """Its settings are right and its primary answers us, but not the replica's own host."""
    lost, primary = is_so(facts, "repl.receiving", False), _good_primary(facts)
    shut, right = is_so(facts, "repl.primary_reachable", False), is_so(facts, "repl.source_declared", True)
    if primary is None or shut is None or right is None:
        return None
    if lost is None and not is_so(facts, "repl.sender_present", False):
        return None
    peer = primary.labels["peer"]
    words = f"the replica's host can't reach {peer}, which answers others: a firewall, a route or a link"
    return Match(0.95, [fact for fact in (lost, shut, right, primary) if fact], words, resource.id)


def receiver_stuck(facts: Facts, resource: Resource) -> Match | None:
    """Both sides say that they stream, and nothing comes in."""
    receiving, primary = is_so(facts, "repl.receiving", True), _good_primary(facts)
    state, missing = is_so(facts, "repl.receiver_state", "stopped"), facts.first("repl.unreceived_bytes")
    heard = facts.first("repl.heard_ago_seconds")
    if receiving is None or primary is None or facts.first("repl.receiver_pid") is None:
        return None
    silent = more(missing, 0) and more(heard, SILENT_SECONDS) and missing is not None and heard is not None
    if state is None and not silent:
        return None
    cites = [fact for fact in (receiving, state, missing, heard, primary) if fact]
    words = "its WAL receiver says it streams, and takes nothing in"
    return Match(0.96 if state else 0.9, cites, words + (": its process is stopped" if state else ""), resource.id)


def replay_blocked(facts: Facts, resource: Resource) -> Match | None:
    """Replay waits for a session on the replica itself."""
    applying, blocker = is_so(facts, "repl.applying", True), facts.first("repl.blocker_pid")
    lag = facts.first("repl.lag_bytes")
    if applying is None or blocker is None or not more(lag, 0) or lag is None:
        return None
    lasts = facts.value("repl.blocker_seconds")
    words = f"its replay waits for pid {blocker.value}, a session that has run for {lasts} s"
    return Match(0.95, [applying, blocker, lag, *facts.all("repl.blocker_seconds")], words, str(blocker.value))


def slot_lost(facts: Facts, resource: Resource) -> Match | None:
    """Its slot is gone, and the log it needs is still there."""
    lost, gone, there = _no_slot(facts), is_so(facts, "repl.receiving", False), is_so(facts, "repl.wal_available", True)
    primary = _good_primary(facts)
    if not lost or gone is None or there is None or primary is None or _log_is_gone(facts):
        return None
    words = f"{primary.labels['peer']} has no usable slot for it; the log it needs is still there"
    return Match(0.96, [*lost, gone, there, primary], words, resource.id)


def wal_lost(facts: Facts, resource: Resource) -> Match | None:
    """The log it needs is gone from its primary: only a new copy helps."""
    gone, primary = is_so(facts, "repl.receiving", False), _good_primary(facts)
    absent = [*facts.where("repl.wal_available", False), *_log_is_gone(facts)]
    if gone is None or primary is None or not absent:
        return None
    words = f"{primary.labels['peer']} no longer has the log it needs: only a new copy of the primary helps"
    return Match(0.98, [gone, *absent, *_no_slot(facts), primary], words, resource.id)


def primary_overloaded(facts: Facts, resource: Resource) -> Match | None:
    """It streams and is behind, while its primary's host has more to do than it can."""
    receiving, applying = is_so(facts, "repl.receiving", True), is_so(facts, "repl.applying", True)
    load, lag = facts.first("repl.primary_load_per_cpu"), facts.first("repl.lag_bytes")
    if receiving is None or applying is None or load is None or lag is None or facts.first("repl.blocker_pid"):
        return None
    if not more(load, SATURATED) or not more(lag, 0):
        return None
    words = f"its primary's host is saturated (load {load.value} a processor), and it is {lag.value} bytes behind"
    return Match(0.82, [receiving, applying, load, lag], words, resource.id)


def primary_down(facts: Facts, resource: Resource) -> Match | None:
    """A replica is not fed because its primary is down: that is the primary's trouble, not its own."""
    gone, primary = is_so(facts, "repl.receiving", False), facts.first("repl.primary")
    if gone is None or primary is None:
        return None
    silent = next(facts.where("repl.peer_accepting", False, peer=str(primary.value)), None)
    if silent is None:
        return None
    words = f"its primary {primary.value} takes no connection: a replica's repair never touches a primary"
    return Match(0.93, [gone, primary, silent], words, resource.id)


def _good_primary(facts: Facts) -> Fact | None:
    """What shows that the declared primary is one and takes writes."""
    primary = facts.first("repl.primary")
    if primary is None or facts.value("repl.peer_role", peer=str(primary.value)) != "primary":
        return None
    return next(facts.where("repl.peer_writable", True, peer=str(primary.value)), None)


def _no_slot(facts: Facts) -> list[Fact]:
    return [*facts.where("repl.slot_exists", False), *facts.where("repl.slot_wal_status", "lost")]


def _log_is_gone(facts: Facts) -> list[Fact]:
    """The slot says that its log is lost."""
    return list(facts.where("repl.slot_wal_status", "lost"))
