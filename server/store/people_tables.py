"""The tables of what people do beside deciding about plans: pauses, takings over, confirmations, lifted demotions."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, String, Table, Text

from server.store.schema import metadata

# What is paused, by scope (`graph.rules.scopes`). One whose `until` has passed counts no more.
pauses = Table(
    "pauses",
    metadata,
    Column("scope", String(3300), primary_key=True),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("until", Float),
)

# Incidents that a human has taken over: the healer stands back. In force while `ended_at` is null.
takings = Table(
    "takings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False, index=True),
    Column("by", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("until", Float, nullable=False),
    Column("comment", Text, nullable=False),
    Column("ended_at", Float),
)

# What people found to be true once it was over. `right`: whether the repair was; null where they did not say.
confirmations = Table(
    "confirmations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False, index=True),
    Column("by", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("cause", String(200), nullable=False),
    Column("right", Integer),
    Column("comment", Text, nullable=False),
)

# Pairs that are no longer repaired unasked, because a repair went wrong. In force while `lifted_at` is null.
demotions = Table(
    "demotions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("resource_kind", String(200), nullable=False),
    Column("issue_type", String(50), nullable=False),
    Column("at", Float, nullable=False),
    Column("why", Text, nullable=False),
    Column("incident_id", String(36), nullable=False),
    Column("lifted_at", Float),
    Column("lifted_by", Text),
)
Index("demoted_pairs", demotions.c.resource_kind, demotions.c.issue_type)
