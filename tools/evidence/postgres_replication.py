"""How a PostgreSQL cluster replicates, as this member, its peers and its host tell it."""

from __future__ import annotations

from graph.facts import FactValue
from graph.ports import Finding
from graph.records import Resource
from tools.clients.databases.database import client_for
from tools.evidence.context import EvidenceContext, whole


async def look_at_postgres(context: EvidenceContext, resource: Resource) -> Finding:
    """Facts repl.* of this member. Raises DatabaseError."""
    seen = await client_for(context.databases, resource).replication(resource)
    if seen is None:
        return Finding("replication", "it follows nobody", status="no_data")
    facts: dict[str, FactValue] = {"repl.receiving": seen.receiving, "repl.applying": seen.applying}
    if seen.lag_seconds is not None:
        facts["repl.lag_seconds"] = seen.lag_seconds
    return Finding("replication", "it follows", facts, raw=whole(str(seen)))
