"""The tables of what is left of incidents that are over: their story in short, their evidence packed, and what outlives
their deletion."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from server.store.schema import incidents, metadata

# What a compacted incident tells, in place of its rows. `closed_at`: the incident's `updated_at` as it was then; where
# that has moved on, it is to be compacted anew. `thawed`: it was taken up again, so its rows are the truth again.
# `evidence`: 1 while its evidence is kept. `problem`: why it could not be compacted, and was left as it is.
compactions = Table(
    "compactions",
    metadata,
    Column("incident_id", String(36), primary_key=True),
    Column("at", Float, nullable=False),
    Column("closed_at", Float, nullable=False),
    Column("story", LargeBinary, nullable=False),
    Column("left_out", JSON, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("thawed", Integer, nullable=False, default=0),
    Column("evidence", Integer, nullable=False),
    Column("expired_at", Float),
    Column("problem", Text, nullable=False, default=""),
)
Index("evidence_to_expire", compactions.c.evidence, compactions.c.closed_at)

# Whole answers, evidence, commands, model calls and plots of a compacted incident, zlib-compressed JSON.
evidence_packs = Table(
    "evidence_packs",
    metadata,
    Column("incident_id", String(36), primary_key=True),
    Column("at", Float, nullable=False),
    Column("whole_bytes", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# Of deleted incidents what the ladder of trust is judged by (see `server.store.ladder`).
deleted_heals = Table(
    "deleted_heals",
    metadata,
    Column("incident_id", String(36), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("received_at", Float, nullable=False, index=True),
    Column("deleted_at", Float, nullable=False),
    Column("facts", JSON, nullable=False),
)

# What came of it last, and by whom. Whose turn it is is a duty (see `server.store.workers`).
runs = Table(
    "retention_runs",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("by", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("done", JSON, nullable=False),
)

Index("incidents_by_end", incidents.c.phase, incidents.c.updated_at)
