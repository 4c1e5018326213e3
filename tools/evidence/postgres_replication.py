"""How a PostgreSQL cluster replicates, as this member, its peers and its host tell it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from graph.facts import FactValue, fact_key
from graph.ports import Finding
from graph.records import Resource
from tools.clients.databases.database import (
    DatabaseError,
    DatabaseStatus,
    DatabaseUnreachable,
    client_for,
    database_of,
    declared_primary,
    peers_of,
)
from tools.clients.databases.last_position import last_written, unsafe_to_promote
from tools.clients.databases.postgresql import PostgresClient
from tools.clients.databases.postgresql_replication import DEAD_SLOTS, PostgresReplication, Standby, lsn_bytes
from tools.clients.host import HostUnreachable
from tools.evidence.context import HOST_SECONDS, EvidenceContext, ago, line, text_of, whole
from tools.evidence.database import session_facts
from tools.evidence.postgres_host import host_facts

_MOST_PEERS = 4


@dataclass(frozen=True)
class Member:
    """One member of the cluster as it was found. `how` says why it could not be asked."""

    resource: Resource
    status: DatabaseStatus | None
    replication: PostgresReplication | None
    how: str = ""
    said: str = ""


async def look_at_postgres(context: EvidenceContext, resource: Resource) -> Finding:
    """Facts repl.* of this member, repl.peer_*{peer} of the others, and of its primary what that knows of it."""
    own, *others = await asyncio.gather(
        look_at_member(context, resource),
        *(look_at_member(context, peer) for peer in peers_of(resource, context.inventory)[:_MOST_PEERS]),
    )
    primary = declared_primary(resource, context.inventory)
    facts: dict[str, FactValue] = {"repl.primary": primary.id} if primary is not None else {}
    raw = [str(member) for member in (own, *others)]
    for other in others:
        facts |= peer_facts(other)
    on_host, said = await host_facts(context, resource, primary, own.replication)
    facts |= on_host | await _patroni(context, resource)
    raw.append(said)
    if own.replication is not None:
        feeder = next((item for item in others if primary and item.resource.id == primary.id and item.status), None)
        facts |= replica_facts(own.replication, resource, primary)
        if feeder is not None:
            facts |= await _fed_by(context, feeder.resource, resource, own.replication)
    elif own.status is None and database_of(resource).role == "primary":
        facts |= await _successors(context, resource, others)
    elif own.status is not None and own.status.role == "primary":
        facts |= {"repl.follows": False} | await _dead_slots(context, resource)
    asked = "pg_stat_wal_receiver, pg_stat_replication, pg_replication_slots of this member and its peers"
    return Finding(asked, text_of(_of_own(own, facts), *map(_of_peer, others)), facts, raw=whole("\n".join(raw)))


async def _patroni(context: EvidenceContext, resource: Resource) -> dict[str, FactValue]:
    """What Patroni says of this member, where it is declared to manage it."""
    if not database_of(resource).patroni_url:
        return {}
    try:
        cluster = await postgres(context, resource).patroni.cluster(resource)
    except DatabaseError:
        return {"patroni.reachable": False}
    own, leader = cluster.of(resource), cluster.leader
    facts: dict[str, FactValue] = {"patroni.reachable": True, "patroni.paused": cluster.paused}
    facts |= {"patroni.leader": line(leader.name, 60)} if leader else {}
    if own is not None:
        facts |= {"patroni.leads": own.leads, "patroni.runs": own.runs, "patroni.state": line(own.state, 40)}
        facts |= {} if own.lag is None else {"patroni.lag_bytes": own.lag}
    return facts


def postgres(context: EvidenceContext, resource: Resource) -> PostgresClient:
    """The client, which can be asked more than other engines. Raises PermanentError, TypeError."""
    client = client_for(context.databases, resource)
    if not isinstance(client, PostgresClient):
        raise TypeError(f"{resource.key} is asked as PostgreSQL by {type(client).__name__}")
    return client


async def look_at_member(context: EvidenceContext, resource: Resource) -> Member:
    """Its status and how it is fed; a member that can't be asked is told as such."""
    client = postgres(context, resource)
    try:
        status = await client.status(resource)
        return Member(resource, status, await client.replication(resource))
    except DatabaseUnreachable as error:
        return Member(resource, None, None, error.how, str(error))
    except DatabaseError as error:
        return Member(resource, None, None, "refused_us", str(error))


def replica_facts(seen: PostgresReplication, resource: Resource, primary: Resource | None) -> dict[str, FactValue]:
    """What a replica tells of itself."""
    facts: dict[str, FactValue] = {
        "repl.follows": True,
        "repl.receiving": seen.receiving,
        "repl.applying": seen.applying,
        "repl.source": line(seen.source, 60),
    }
    known: dict[str, FactValue | None] = {
        "repl.lag_seconds": None if seen.lag_seconds is None else round(seen.lag_seconds, 1),
        "repl.lag_bytes": seen.lag_bytes,
        "repl.receiver_pid": seen.receiver_pid,
        "repl.receiver_started": seen.receiver_started or None,
        "repl.heard_ago_seconds": None if seen.heard_ago is None else round(seen.heard_ago, 1),
        "repl.startup_wait": seen.startup_wait if seen.blocker else None,
    }
    facts |= {name: value for name, value in known.items() if value is not None}
    if primary is not None:
        facts["repl.source_declared"] = source_declared(seen, primary)
        slot = database_of(resource).replication.slot
        if slot is not None:
            facts["repl.slot_declared"] = seen.slot == slot
    return facts | session_facts("repl.blocker", seen.blocker)


def source_declared(seen: PostgresReplication, primary: Resource) -> bool:
    """Whether it is set to follow whom it is declared to."""
    return (seen.conninfo_host, seen.conninfo_port) == (primary.address, str(database_of(primary).port))


async def _fed_by(
    context: EvidenceContext, primary: Resource, replica: Resource, seen: PostgresReplication
) -> dict[str, FactValue]:
    try:
        view = await postgres(context, primary).standby(primary, replica)
    except DatabaseError:
        return {}
    return standby_facts(view, seen, replica) | await _load_of(context, primary)


def standby_facts(view: Standby, seen: PostgresReplication, replica: Resource) -> dict[str, FactValue]:
    """What its primary knows of a replica, and what follows from both."""
    facts: dict[str, FactValue] = {
        "repl.sender_present": view.sender_pid is not None,
        "repl.same_system": view.system_id == seen.system_id,
    }
    if database_of(replica).replication.slot:
        facts["repl.slot_exists"] = view.slot_exists
        facts |= {"repl.slot_active": view.slot_active} if view.slot_exists else {}
        facts |= {"repl.slot_wal_status": view.wal_status} if view.wal_status else {}
    available = view.still_has(seen.replay_lsn)
    facts |= {} if available is None else {"repl.wal_available": available}
    facts |= {} if view.unsent is None else {"repl.unsent_bytes": view.unsent}
    behind = _bytes_between(view.lsn, seen.replay_lsn)
    if behind is not None and view.is_primary:
        facts["repl.lag_bytes"] = behind
        # What it lacks counts, also where it does not know that it lacks something.
        lag = 0.0 if not behind else seen.replayed_ago
        facts |= {} if lag is None else {"repl.lag_seconds": round(lag, 1)}
        unreceived = _bytes_between(view.lsn, seen.receive_lsn)
        facts |= {} if unreceived is None else {"repl.unreceived_bytes": unreceived}
    return facts


def _bytes_between(ahead: str, behind: str) -> int | None:
    try:
        return max(0, lsn_bytes(ahead) - lsn_bytes(behind))
    except ValueError:
        return None


async def _load_of(context: EvidenceContext, primary: Resource) -> dict[str, FactValue]:
    """How busy the primary's host is: its load for each processor."""
    try:
        result = await context.hosts.run(primary, "cat /proc/loadavg; nproc", HOST_SECONDS)
        load, processors = result.stdout.splitlines()[:2]
        return {"repl.primary_load_per_cpu": round(float(load.split()[0]) / int(processors), 2)}
    except (HostUnreachable, ValueError, ZeroDivisionError, IndexError):
        return {}


async def _successors(context: EvidenceContext, lost: Resource, others: Sequence[Member]) -> dict[str, FactValue]:
    """Of a primary that is silent: which replica could take its place, and why another could not."""
    written, why = await last_written(context.prometheus, lost)
    facts: dict[str, FactValue] = {}
    for other in others:
        if other.replication is None:
            continue
        unsafe = unsafe_to_promote(other.replication, other.resource, written, why)
        facts[fact_key("repl.peer_safe", peer=other.resource.id)] = unsafe is None
        if unsafe:
            facts[fact_key("repl.peer_unsafe_why", peer=other.resource.id)] = line(unsafe, 100)
    return facts


async def _dead_slots(context: EvidenceContext, resource: Resource) -> dict[str, FactValue]:
    """Of a primary: the slot nobody uses that keeps most of its log, and whose it is."""
    try:
        rows = await postgres(context, resource).execute(resource, DEAD_SLOTS)
    except DatabaseError:
        return {}
    if not rows:
        return {}
    owners = {database_of(peer).replication.slot: peer.id for peer in peers_of(resource, context.inventory)}
    name = str(rows[0]["name"])
    facts: dict[str, FactValue] = {
        "repl.dead_slot": line(name, 64),
        "repl.dead_slot_bytes": round(float(rows[0]["retained"] or 0)),
    }
    return facts | ({"repl.dead_slot_peer": owners[name]} if name in owners else {})


def peer_facts(member: Member) -> dict[str, FactValue]:
    """What is worth knowing of another member."""
    peer, status, fed = member.resource.id, member.status, member.replication
    facts: dict[str, FactValue] = {
        fact_key("repl.peer_accepting", peer=peer): status is not None,
        fact_key("repl.peer_declared", peer=peer): database_of(member.resource).role,
    }
    if status is None:
        return facts | {fact_key("repl.peer_unreachable_how", peer=peer): member.how}
    facts |= {
        fact_key("repl.peer_role", peer=peer): status.role,
        fact_key("repl.peer_writable", peer=peer): status.writable,
        fact_key("repl.peer_active", peer=peer): status.active,
    }
    if fed is not None:
        facts[fact_key("repl.peer_receiving", peer=peer)] = fed.receiving
        facts[fact_key("repl.peer_paused", peer=peer)] = fed.paused
    return facts


def _of_own(own: Member, facts: dict[str, FactValue]) -> str:
    seen = own.replication
    if seen is None:
        return f"it can't be asked ({own.how})" if own.status is None else "it follows nobody"
    lag = facts.get("repl.lag_seconds")
    words = [
        f"receiver {seen.receiver_status or 'absent'}",
        "replay paused" if seen.paused else "replays",
        f"{ago(float(lag))} behind" if isinstance(lag, int | float) and not isinstance(lag, bool) else "",
        f"follows {seen.source}",
        f"replay waits for pid {seen.blocker.id}" if seen.blocker else "",
    ]
    return ", ".join(word for word in words if word)


def _of_peer(member: Member) -> str:
    if member.status is None:
        return f"{member.resource.id} takes no connection ({member.how})"
    return f"{member.resource.id} is {member.status.role}"
