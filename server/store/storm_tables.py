"""The tables of storms: what many resources that fail together share, which they are, and what waits to be told."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, String, Table, Text, UniqueConstraint

from server.store.schema import metadata

# In force while `ended_at` is null. `incident_id`: the parent incident. `spared`: keys of resources whose own repair
# is not held. `ended_how`: cleared, released or cancelled.
storms = Table(
    "storms",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False, unique=True),
    Column("share_kind", String(20), nullable=False),
    Column("share_name", String(3300), nullable=False),
    Column("spared", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("began_at", Float, nullable=False),
    Column("ended_at", Float, index=True),
    Column("ended_how", String(20)),
)

# Incidents whose repairs a storm holds. `left_at`: it was found to be what the others depend on.
storm_members = Table(
    "storm_members",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("storm_id", Integer, nullable=False),
    Column("incident_id", String(36), nullable=False),
    Column("joined_at", Float, nullable=False),
    Column("left_at", Float),
    UniqueConstraint("storm_id", "incident_id"),
)
Index("storms_of_incident", storm_members.c.incident_id, storm_members.c.storm_id)

# What people would have been told of members, kept until the storm is over: what is still true then is told.
storm_notices = Table(
    "storm_notices",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("storm_id", Integer, nullable=False, index=True),
    Column("incident_id", String(36), nullable=False),
    Column("event", String(30), nullable=False),
    Column("payload", JSON, nullable=False),
)
