"""How a MariaDB or MySQL cluster replicates, as this member, its peers and its host tell it."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass
from typing import cast

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
from tools.clients.databases.mariadb_dialect import LOGGED
from tools.clients.databases.mariadb_reading import MariaDbReplication, missing, unsafe_to_promote
from tools.clients.host import HostUnreachable
from tools.evidence.context import HOST_SECONDS, EvidenceContext, ago, line, raw_of, text_of, whole
from tools.evidence.database import session_facts

_REACH_SECONDS = 3
_MOST_PEERS = 4


@dataclass(frozen=True)
class Member:
    """One member of the cluster as it was found. `how` says why it could not be asked."""

    resource: Resource
    status: DatabaseStatus | None
    replication: MariaDbReplication | None
    how: str = ""
    said: str = ""
    logged: str = ""
    """How far its own log goes, as a GTID position; of a primary of MariaDB only."""


async def look_at_mariadb(context: EvidenceContext, resource: Resource) -> Finding:
    """Facts repl.* of this member and repl.peer_*{peer} of the others; repl.primary_reachable from its host where it
    does not receive. Raises DatabaseError where this member can't be asked and its peers tell nothing."""
    own, *others = await asyncio.gather(
        look_at_member(context, resource),
        *(look_at_member(context, peer) for peer in peers_of(resource, context.inventory)[:_MOST_PEERS]),
    )
    facts: dict[str, FactValue] = {}
    words: list[str] = []
    for other in others:
        facts |= peer_facts(other)
        words.append(_of_peer(other))
    raw = [str(member) for member in (own, *others)]
    primary = declared_primary(resource, context.inventory)
    facts |= {"repl.primary": primary.id} if primary is not None else {}
    if own.replication is not None:
        facts |= replica_facts(own.replication, resource, primary)
        words.insert(0, _of_replica(own.replication))
        logged = next((other.logged for other in others if primary and other.resource.id == primary.id), "")
        unreceived = missing(own.replication.received_gtid or own.replication.applied_gtid, logged) if logged else None
        facts |= {} if unreceived is None else {"repl.unreceived": unreceived}
        if primary is not None and not own.replication.receiving:
            reached, said = await _reach(context, resource, primary)
            facts |= {} if reached is None else {"repl.primary_reachable": reached}
            raw.append(said)
    elif own.status is not None:
        facts["repl.follows"] = False
        words.insert(0, "it follows nobody")
    else:
        words.insert(0, f"it can't be asked ({own.how})")
    return Finding(
        "SHOW REPLICA STATUS of this member and its peers", text_of(*words), facts, raw=whole("\n".join(raw))
    )


async def look_at_member(context: EvidenceContext, resource: Resource) -> Member:
    """Its status and how it is fed; a member that can't be asked is told as such."""
    client = client_for(context.databases, resource)
    try:
        status = await client.status(resource)
        replication = await client.replication(resource)
        rows = await client.execute(resource, LOGGED) if status.role == "primary" and client.engine == "mariadb" else ()
    except DatabaseUnreachable as error:
        return Member(resource, None, None, error.how, str(error))
    except DatabaseError as error:
        return Member(resource, None, None, "refused_us", str(error))
    logged = str(rows[0]["logged"] or "") if rows else ""
    return Member(resource, status, cast(MariaDbReplication | None, replication), logged=logged)


def replica_facts(seen: MariaDbReplication, resource: Resource, primary: Resource | None) -> dict[str, FactValue]:
    """What is worth knowing of a replica."""
    facts: dict[str, FactValue] = {
        "repl.follows": True,
        "repl.receiving": seen.receiving,
        "repl.applying": seen.applying,
        "repl.receiver": seen.receiver,
        "repl.applier": seen.applier,
        "repl.source": line(seen.source, 60),
    }
    known: dict[str, FactValue | None] = {
        "repl.lag_seconds": seen.lag_seconds,
        "repl.lag_bytes": seen.lag_bytes,
        "repl.receiver_errno": seen.receiver_errno or None,
        "repl.applier_errno": seen.applier_errno or None,
        "repl.error": line(seen.last_error, 120) or None,
        "repl.waits_for_lock": True if seen.waits_for_lock else None,
        "repl.own_writes": True if seen.own_writes else None,
    }
    facts |= {name: value for name, value in known.items() if value is not None}
    if primary is not None:
        facts["repl.source_declared"] = source_declared(seen, resource, primary)
    return facts | session_facts("repl.blocker", seen.blocked_by)


def source_declared(seen: MariaDbReplication, resource: Resource, primary: Resource) -> bool:
    """Whether it follows whom it is declared to, as the user it is declared to."""
    wanted = (primary.address, database_of(primary).port, database_of(resource).replication.user)
    return (seen.source_host, seen.source_port, seen.source_user) == wanted


def peer_facts(member: Member) -> dict[str, FactValue]:
    """What is worth knowing of another member."""
    peer, status, fed = member.resource.id, member.status, member.replication
    declared = database_of(member.resource).role
    facts: dict[str, FactValue] = {
        fact_key("repl.peer_accepting", peer=peer): status is not None,
        fact_key("repl.peer_declared", peer=peer): declared,
    }
    if status is None:
        return facts | {fact_key("repl.peer_unreachable_how", peer=peer): member.how}
    facts |= {
        fact_key("repl.peer_role", peer=peer): status.role,
        fact_key("repl.peer_writable", peer=peer): status.writable,
        fact_key("repl.peer_active", peer=peer): status.active,
        fact_key("repl.peer_connections_percent", peer=peer): round(status.connections_percent, 1),
    }
    if fed is not None:
        facts |= {
            fact_key("repl.peer_receiving", peer=peer): fed.receiving,
            fact_key("repl.peer_all_applied", peer=peer): fed.all_applied,
        }
        most = database_of(member.resource).max_promote_lag_bytes
        unsafe = unsafe_to_promote(fed, most)
        facts |= {fact_key("repl.peer_safe", peer=peer): unsafe is None}
        facts |= {fact_key("repl.peer_unsafe_why", peer=peer): line(unsafe, 100)} if unsafe else {}
    return facts


async def _reach(context: EvidenceContext, resource: Resource, primary: Resource) -> tuple[bool | None, str]:
    """Whether the replica's own host can open the primary's port; None where that can't be asked."""
    command = reach_command(primary.address, database_of(primary).port)
    try:
        result = await context.hosts.run(resource, command, HOST_SECONDS)
    except HostUnreachable as error:
        return None, str(error)
    said = result.stdout.strip()
    return {"open": True, "shut": False}.get(said), raw_of(result)


def reach_command(address: str, port: int) -> str:
    """The shell line that says `open` or `shut`."""
    attempt = f"exec 3<>/dev/tcp/{shlex.quote(address)}/{port}"
    return f"if timeout {_REACH_SECONDS} bash -c {shlex.quote(attempt)} 2>/dev/null; then echo open; else echo shut; fi"


def _of_replica(seen: MariaDbReplication) -> str:
    behind = "" if seen.lag_seconds is None else f", {ago(seen.lag_seconds)} behind"
    error = f": {line(seen.last_error, 70)}" if seen.last_error else ""
    blocked = f", blocked by session {seen.blocked_by.id}" if seen.blocked_by else ""
    return f"receiver {seen.receiver}, applier {seen.applier}{behind}{blocked}, follows {seen.source}{error}"


def _of_peer(member: Member) -> str:
    if member.status is None:
        return f"{member.resource.id} takes no connection ({member.how})"
    return f"{member.resource.id} is {member.status.role}"
