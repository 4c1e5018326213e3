"""The tables of the fleet's budget: who takes part of a group away, who waits for what, and what was done lately."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, String, Table

from server.store.schema import metadata

# Machines under disruptive repair, one row an incident, from its `started` until its attempt is verified or has ended.
# With `promised_until` nothing has begun: the place was just freed, and is kept so long for whoever waited longest.
places = Table(
    "places",
    metadata,
    Column("incident_id", String(36), primary_key=True),
    Column("of_group", String(3000), nullable=False),
    Column("machine", String(3300), nullable=False),
    Column("resource", String(3300), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("since", Float, nullable=False),
    Column("promised_until", Float),
)
Index("places_of_group", places.c.of_group)

# Heals that rest because a rule holds them, and since when. A row goes with the leg that rests for another reason.
held_heals = Table(
    "held_heals",
    metadata,
    Column("incident_id", String(36), primary_key=True),
    Column("rule", String(100), nullable=False),
    Column("of_group", String(3000), nullable=False),
    Column("since", Float, nullable=False),
)
Index("held_by_rule", held_heals.c.rule, held_heals.c.of_group, held_heals.c.since)

# Side effects of the last hour whose action or group is limited. Older rows are removed as new ones come.
recent_starts = Table(
    "recent_starts",
    metadata,
    Column("idempotency_key", String(200), primary_key=True),
    Column("action", String(100), nullable=False),
    Column("of_group", String(3000), nullable=False),
    Column("at", Float, nullable=False),
)
Index("recent_by_time", recent_starts.c.at)

# The latest escalation of each resource, until a human asks to try again.
cool_downs = Table(
    "cool_downs",
    metadata,
    Column("resource", String(3300), primary_key=True),
    Column("incident_id", String(36), nullable=False),
    Column("number", Integer, nullable=False),
    Column("escalated_at", Float, nullable=False),
)
Index("cool_downs_by_time", cool_downs.c.escalated_at)
