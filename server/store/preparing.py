"""Makes a database ready: every table there is, and what an older release kept elsewhere. All tables are named here."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from server.store import access_tables, people_tables, retention_tables, telling_tables
from server.store.people_tables import pauses
from server.store.schema import SCHEMA_VERSION, StoreError, meta, metadata, switches

TABLES = (access_tables, people_tables, retention_tables, telling_tables)
"""Modules that add to the metadata by being imported."""


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


def _take_over_pause(connection: Connection) -> None:
    for row in connection.execute(select(switches).where(switches.c.name == "pause")).all():
        values = {"scope": "all", "by": row.by, "reason": row.reason, "at": row.at, "until": None}
        if connection.execute(select(pauses.c.scope).where(pauses.c.scope == "all")).first() is None:
            connection.execute(insert(pauses).values(**values))
        connection.execute(switches.delete().where(switches.c.name == "pause"))
