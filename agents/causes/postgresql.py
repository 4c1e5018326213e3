"""Why a PostgreSQL server, or its replication, is in trouble."""

from __future__ import annotations

from dataclasses import replace

from agents.causes import postgresql_remedies as mends
from agents.causes import postgresql_replication as following
from agents.causes.asked import is_so, more
from agents.causes.idle_sessions import END_IDLE
from graph.facts import Fact, Facts
from graph.kind import Cause, Match
from graph.records import Resource

ACTIONS = mends.ACTIONS
CROWDED_PERCENT = 90.0
LONG_SECONDS = 120.0
BESIDE_PATRONI = ("connections_exhausted", "runaway_query")
"""What may be mended by our own hands though Patroni manages the cluster: no concern of its own."""
LARGE_BYTES = 64 * 1024 * 1024


def primary_lost(facts: Facts, resource: Resource) -> Match | None:
    """Its data or its machine is gone, so that nothing brings it back."""
    silent, gone = is_so(facts, "db.accepting", False), is_so(facts, "db.data_present", False)
    machine = is_so(facts, "provider.state", "terminated")
    gone = gone or machine or _data_damaged(facts)
    if silent is None or gone is None or resource.database is None or resource.database.role != "primary":
        return None
    unsafe, safe = list(facts.all("repl.peer_unsafe_why")), list(facts.where("repl.peer_safe", True))
    words = f"it is down and its {'machine is gone' if machine else 'data is gone or damaged'}"
    if not safe:
        why = f": {unsafe[0].labels['peer']}: {unsafe[0].value}" if unsafe else ""
        words += f", and no replica can safely take its place{why}"
    return Match(0.99, [silent, gone, *safe, *unsafe], words, resource.id)


def replica_data_lost(facts: Facts, resource: Resource) -> Match | None:
    silent, gone = is_so(facts, "db.accepting", False), is_so(facts, "db.data_present", False) or _data_damaged(facts)
    if silent is None or gone is None or resource.database is None or resource.database.role != "replica":
        return None
    return Match(0.98, [silent, gone], "it is down and its data is gone or damaged", resource.id)


def connections_exhausted(facts: Facts, resource: Resource) -> Match | None:
    """Its connections are taken by sessions that keep a transaction open and do nothing."""
    idle, percent = facts.first("db.idle_in_transaction"), facts.first("db.connections_percent")
    most = facts.value("db.connections_max")
    if idle is None or percent is None or not isinstance(idle.value, int) or not isinstance(most, int):
        return None
    # what is kept back for superusers is no room for those who work
    if not more(percent, CROWDED_PERCENT - 30) or idle.value < max(2, most // 4):
        return None
    words = f"{facts.value('db.connections_used')} of {most} connections are taken, {idle.value} idle in a transaction"
    return Match(0.95, [idle, percent, *facts.all("db.idle_seconds")], words, resource.id)


def connections_full(facts: Facts, resource: Resource) -> Match | None:
    how = is_so(facts, "db.unreachable_how", "too_many")
    return Match(0.9, [how], "every connection is taken, also those kept for superusers", resource.id) if how else None


def runaway_query(facts: Facts, resource: Resource) -> Match | None:
    """One query of a client runs and runs, and the host is busy."""
    pid, lasts = facts.first("db.query_pid"), facts.first("db.query_seconds")
    if pid is None or lasts is None or not more(lasts, LONG_SECONDS):
        return None
    words = f"a query of pid {pid.value} ({facts.value('db.query_user')}) has run for {lasts.value} s"
    return Match(0.9, [pid, lasts, *facts.all("db.query_started")], words, str(pid.value))


def wal_retained(facts: Facts, resource: Resource) -> Match | None:
    """A slot that nobody uses keeps its log from being removed."""
    slot, size = facts.first("repl.dead_slot"), facts.first("repl.dead_slot_bytes")
    if slot is None or size is None or not more(size, LARGE_BYTES):
        return None
    owner = facts.first("repl.dead_slot_peer")
    whose = f"of {owner.value}" if owner else "of no declared member"
    words = f"slot {slot.value} {whose}, which nobody uses, keeps {size.value} bytes of its log"
    return Match(0.95, [slot, size, *([owner] if owner else [])], words, str(slot.value))


def patroni_member_broken(facts: Facts, resource: Resource) -> Match | None:
    """Patroni says that this replica does not run, and that another leads."""
    runs, leads = is_so(facts, "patroni.runs", False), is_so(facts, "patroni.leads", False)
    paused, leader = is_so(facts, "patroni.paused", False), facts.first("patroni.leader")
    if runs is None or leads is None or paused is None or leader is None:
        return None
    words = f"Patroni says it is {facts.value('patroni.state')}, while {leader.value} leads"
    return Match(0.97, [runs, leads, paused, leader], words, resource.id)


def patroni_without_leader(facts: Facts, resource: Resource) -> Match | None:
    reachable = is_so(facts, "patroni.reachable", True)
    if reachable is None or facts.first("patroni.leader") is not None:
        return None
    return Match(0.96, [reachable], "Patroni's cluster has no leader that runs", resource.id)


def two_primaries(facts: Facts, resource: Resource) -> Match | None:
    own = is_so(facts, "db.role", "primary")
    others = list(facts.where("repl.peer_role", "primary"))
    if own is None or not others:
        return None
    words = f"both it and {others[0].labels['peer']} are primaries: each takes writes that the other lacks"
    return Match(0.99, [own, *others], words, resource.id)


def _data_damaged(facts: Facts) -> Fact | None:
    """What its log says of its data, of a unit that does not run."""
    down = {fact.labels["unit"] for fact in facts.all("unit.state") if fact.value != "running"}
    return next((fact for fact in facts.where("journal.data_damaged", True) if fact.labels["unit"] in down), None)


def _mine(cause: Cause) -> Cause:
    """For PostgreSQL alone: facts of other engines bear the same names."""

    def signature(facts: Facts, resource: Resource) -> Match | None:
        database = resource.database
        if database is None or database.engine != "postgresql":
            return None
        if database.patroni_url and cause.remedies and not cause.name.startswith("patroni_"):
            return None if cause.name not in BESIDE_PATRONI else cause.signature(facts, resource)
        return cause.signature(facts, resource)

    return replace(cause, signature=signature)


CAUSES: tuple[Cause, ...] = tuple(
    _mine(cause)
    for cause in (
        Cause(
            "replay_paused",
            "a replica's replay is paused",
            "replication_lag",
            following.replay_paused,
            (mends.RESUME,),
            human_must="find out who or what pauses the replay",
        ),
        Cause(
            "receiver_stuck",
            "a replica's WAL receiver says it streams, and takes nothing in",
            "replication_lag",
            following.receiver_stuck,
            (mends.RESTART_RECEIVER,),
            human_must="look at the link to the primary: a new receiver gets nothing either",
        ),
        Cause(
            "settings_broken",
            "a replica's settings do not lead to its declared primary",
            "replication_lag",
            following.settings_broken,
            (mends.RELOAD,),
            human_must="set primary_conninfo by hand: setting the declared primary did not help",
        ),
        Cause(
            "replica_cut_off",
            "the replica's host can't reach its primary, which answers others",
            "replication_lag",
            following.replica_cut_off,
            human_must="mend the network between the replica's host and its primary",
        ),
        Cause(
            "replay_blocked",
            "a replica's replay waits for a query on the replica",
            "replication_lag",
            following.replay_blocked,
            (mends.END_BLOCKER,),
            human_must="find out what keeps on sending queries that block the replay, or turn on hot_standby_feedback",
        ),
        Cause(
            "slot_lost",
            "the replica's slot is gone, and the log it needs is still there",
            "replication_lag",
            following.slot_lost,
            (mends.RECREATE_SLOT,),
            human_must="make the slot by hand, or have the replica rebuilt before the log it needs is gone",
        ),
        Cause(
            "wal_lost",
            "the log the replica needs is gone",
            "replication_lag",
            following.wal_lost,
            (mends.REBUILD,),
            human_must="rebuild the replica: what it lacks is gone",
        ),
        Cause(
            "primary_overloaded",
            "a replica is behind because its primary has more to do than it can",
            "replication_lag",
            following.primary_overloaded,
            human_must="find what loads the primary: a primary is not touched for its replica's sake",
        ),
        Cause(
            "primary_down",
            "a replica is not fed because its primary is down",
            "replication_lag",
            following.primary_down,
            human_must="see to the primary, whose own alert should fire: a replica's repair never touches it",
        ),
        Cause(
            "primary_lost",
            "a primary is down and can't come back by itself",
            "service_down",
            primary_lost,
            (mends.FAIL_OVER,),
            human_must="restore it from a backup, or decide which replica's loss can be borne",
        ),
        Cause(
            "replica_data_lost",
            "a replica is down and its data is gone",
            "service_down",
            replica_data_lost,
            human_must="its data folder is gone: look at its disk, then make a new copy of the primary there",
        ),
        Cause(
            "connections_exhausted",
            "sessions idle in a transaction take up the connections",
            "connection_timeout",
            connections_exhausted,
            (END_IDLE,),
            human_must="find the client that leaves its transactions open: its sessions come back",
        ),
        Cause(
            "connections_full",
            "every connection is taken, also those kept for superusers",
            "connection_timeout",
            connections_full,
            human_must="end sessions of the pool that takes them all: nobody else can get in, nor can we",
        ),
        Cause(
            "runaway_query",
            "one query runs and runs",
            "high_cpu",
            runaway_query,
            (mends.END_QUERY,),
            human_must="find the client that sends the query: it comes back",
        ),
        Cause(
            "wal_retained",
            "a slot nobody uses keeps the log from being removed",
            "disk_full",
            wal_retained,
            (mends.DROP_SLOT,),
            human_must="the slot belongs to a declared replica: start or rebuild that one, or drop its slot",
        ),
        Cause(
            "patroni_member_broken",
            "a replica that Patroni manages does not run",
            "replication_lag",
            patroni_member_broken,
            (mends.PATRONI_RESTART, mends.PATRONI_REINITIALIZE),
            human_must="look at Patroni's log on that member: neither a restart nor a fresh copy helped",
        ),
        Cause(
            "patroni_without_leader",
            "a cluster that Patroni manages has no leader that runs",
            "service_down",
            patroni_without_leader,
            human_must="Patroni elects a leader by itself where it can: see why it does not, or ask it to fail over",
        ),
        Cause(
            "two_primaries",
            "two members of the cluster are primaries",
            "service_down",
            two_primaries,
            human_must="stop one of them at once, and decide which writes to keep",
        ),
    )
)
