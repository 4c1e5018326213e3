"""Makes a database ready: every table there is, and what an older release kept elsewhere. All tables are named here."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from server.store import access_tables, people_tables, telling_tables
from server.store.people_tables import pauses
from server.store.rows import upsert
from server.store.schema import SCHEMA_VERSION, StoreError, evidence_raw, meta, metadata, switches

TABLES = (access_tables, people_tables, telling_tables)
"""Modules that add to the metadata by being imported."""

_TRIAL, _TRIAL_BYTES = "trial", 64 * 1024


def prepare(connection: Connection) -> None:
    """Create what is missing. Raises StoreError on a database a newer release has written."""
    metadata.create_all(connection)
    _take_over_pause(connection)
    found = connection.execute(select(meta.c.schema_version)).scalar()
    if found is None:
        connection.execute(insert(meta).values(schema_version=SCHEMA_VERSION))
    elif found != SCHEMA_VERSION:
        raise StoreError(
            f"the database has schema version {found}; this release knows {SCHEMA_VERSION}: "
            "use the release that wrote it, or another database_url"
        )


def glance(connection: Connection) -> None:
    """Take the lock of writers and look."""
    connection.execute(select(meta.c.schema_version)).first()


def try_out(connection: Connection) -> None:
    """Write as much as some alerts take: where a disk was full, a little may fit while an alert does not."""
    values = {"ref": _TRIAL, "incident_id": _TRIAL, "source": _TRIAL, "raw": "x" * _TRIAL_BYTES}
    upsert(connection, evidence_raw, values, ("ref",))


def tried_out(connection: Connection) -> None:
    """In a transaction of its own, or nothing would have been written."""
    connection.execute(evidence_raw.delete().where(evidence_raw.c.ref == _TRIAL))


def _take_over_pause(connection: Connection) -> None:
    for row in connection.execute(select(switches).where(switches.c.name == "pause")).all():
        values = {"scope": "all", "by": row.by, "reason": row.reason, "at": row.at, "until": None}
        if connection.execute(select(pauses.c.scope).where(pauses.c.scope == "all")).first() is None:
            connection.execute(insert(pauses).values(**values))
        connection.execute(switches.delete().where(switches.c.name == "pause"))
