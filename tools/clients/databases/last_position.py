"""How far a lost PostgreSQL primary had written when it was last seen: only Prometheus remembers that.

It is scraped every so often, so the primary may have written more since: what is told is the least that it had.
"""

from __future__ import annotations

from typing import Protocol

from graph.ports import PermanentError, TemporaryError
from graph.records import Resource
from tools.clients.databases.database import database_of
from tools.clients.databases.postgresql_replication import PostgresReplication, lsn_bytes, newest_lsn
from tools.clients.prometheus import Sample, matchers

WINDOW = "30m"


class Remembers(Protocol):
    """Who remembers: `PrometheusClient`."""

    async def instant(self, query: str) -> tuple[Sample, ...]: ...


async def last_written(prometheus: Remembers | None, primary: Resource) -> tuple[int | None, str]:
    """Bytes since the beginning of its log, and an empty reason; or None and why nobody knows."""
    if prometheus is None:
        return None, "no Prometheus is configured that could tell how far it had written"
    query = f"last_over_time(pg_member_wal_bytes{{{matchers({'resource_id': primary.id})}}}[{WINDOW}])"
    try:
        found = await prometheus.instant(query)
    except (TemporaryError, PermanentError) as error:
        return None, f"Prometheus does not tell how far it had written: {str(error)[:120]}"
    if not found:
        return None, f"Prometheus has not seen how far it had written within {WINDOW}"
    return round(max(sample.value for sample in found)), ""


def unsafe_to_promote(seen: PostgresReplication, replica: Resource, written: int | None, why: str) -> str | None:
    """Why this replica must not take the place of a primary that had written that far; None where it may."""
    if seen.paused:
        return "its replay is paused"
    if written is None:
        return why
    lacks, most = written - lsn_bytes(newest_lsn(seen)), database_of(replica).max_promote_lag_bytes
    return f"it lacks {lacks} bytes of what the primary had last written; {most} are allowed" if lacks > most else None
