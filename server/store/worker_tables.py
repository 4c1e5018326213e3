"""The tables of the processes on one database: who is alive, and who does what only one should do at a time."""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, String, Table

from server.store.schema import metadata

# Processes that have this database open. One that was not seen for a while is dead.
workers = Table(
    "workers",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("host", String(200), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(50), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

# Chores that one process at a time does; whoever has one and dies loses it when `until` has passed.
duties = Table(
    "duties",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until", Float, nullable=False),
)
