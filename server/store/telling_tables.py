"""The tables of what is told to others, and kept for them: notices and who was told, silences, plots."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, String, Table, Text, UniqueConstraint

from server.store.schema import metadata

# Silences of ours in Alertmanager, one for each alert that is being repaired.
silences = Table(
    "silences",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False),
    Column("fingerprint", String(200), nullable=False),
    Column("silence_id", String(100), nullable=False),
    Column("until", Float, nullable=False),
    Column("lifted", Integer, nullable=False, default=0),
    UniqueConstraint("incident_id", "fingerprint"),
)

# The series around incidents that are over, as they were drawn: they outlive what Prometheus remembers.
plots = Table(
    "plots",
    metadata,
    Column("incident_id", String(36), primary_key=True),
    Column("at", Float, nullable=False),
    Column("body", JSON, nullable=False),
)

# What people are to be told, written with what it is about. Who is told is settled later, in `notifications`.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("payload", JSON, nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_at", Float, nullable=False),
    Column("sent_at", Float),
)

# One row for everything that one target is told. `dedup` tells apart what is told of an incident more than once.
notifications = Table(
    "notifications",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False),
    Column("resource", String(3300), nullable=False),
    Column("event", String(30), nullable=False),
    Column("dedup", String(300), nullable=False),
    Column("target", String(100), nullable=False),
    Column("call_id", Integer),
    Column("payload", JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("folded", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0),
    Column("created_at", Float, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("sent_at", Float),
    Column("problem", Text, nullable=False, default=""),
    UniqueConstraint("incident_id", "event", "dedup", "target"),
)
Index("notifications_due", notifications.c.state, notifications.c.target, notifications.c.next_at)

# That a human was called: the chain goes on while `ended_at` is null. `told`: minutes of the links told so far.
calls = Table(
    "calls",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False, index=True),
    Column("event", String(30), nullable=False),
    Column("key", String(200), nullable=False),
    Column("at", Float, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("told", JSON, nullable=False),
    Column("ended_at", Float, index=True),
    Column("ended_why", Text),
)

# Who has taken note of which call (0: of one before there were any).
acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False, index=True),
    Column("call_id", Integer, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("comment", Text, nullable=False),
)
