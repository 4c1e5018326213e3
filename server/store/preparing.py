"""Makes a database ready: a new one gets every table at once, one of an earlier release the steps it lacks.

All modules with tables are named here.
"""

from __future__ import annotations

from sqlalchemy import Connection, MetaData, insert, inspect, select, text

from server.store import (
    access_tables,
    budget_tables,
    counting_tables,
    people_tables,
    retention_tables,
    schema,
    storm_tables,
    telling_tables,
    worker_tables,
)
from server.store.postgres import PREPARING_LOCK, take_turn
from server.store.rows import upsert
from server.store.schema import StoreError, evidence_raw, meta

TABLES = (
    schema,
    access_tables,
    budget_tables,
    counting_tables,
    people_tables,
    retention_tables,
    storm_tables,
    telling_tables,
    worker_tables,
)
"""Modules that add to the metadata by being imported."""

HEAD = "0003"
"""The last step of `server.migrations`, said here so that Alembic is loaded only where there is something to do."""

_TRIAL, _TRIAL_BYTES = "trial", 64 * 1024
_VERSIONS = "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"


def metadata_of_all_tables() -> MetaData:
    return schema.metadata


def prepare(connection: Connection) -> None:
    """Make the database of this transaction today's. Raises StoreError on one that a newer release has written."""
    if connection.dialect.name == "postgresql":
        take_turn(connection, PREPARING_LOCK)  # Processes that start together must not all make the tables.
    tables = set(inspect(connection).get_table_names())
    if "incidents" not in tables:
        schema.metadata.create_all(connection)
        connection.execute(insert(schema.meta).values(schema_version=schema.SCHEMA_VERSION))
        connection.execute(text(_VERSIONS))
        connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})
        return
    found = _version(connection) if "alembic_version" in tables else None
    if found != HEAD:
        _upgrade(connection, found)


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


def _version(connection: Connection) -> str | None:
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, found: str | None) -> None:
    from server.store.past import catch_up
    from server.store.upgrading import known_revisions, upgrade

    if found is not None and found not in known_revisions():
        raise StoreError(
            f"the database has schema version {found}; this release knows {HEAD}: "
            "use the release that wrote it, or another database_url"
        )
    upgrade(connection)
    catch_up(connection)
