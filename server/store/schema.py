"""The tables: what is remembered of alerts, incidents, side effects and decisions.

JSON columns hold records as they are told; columns of their own are what is searched or checked in transactions.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from agents.wal import NET
from server.store.append_only import keep_append_only

SCHEMA_VERSION = 2
"""What releases from before there were migrations look at: with another number than 1 they leave the database alone."""

metadata = MetaData()

meta = Table("meta", metadata, Column("schema_version", Integer, nullable=False))

# Times are seconds since the epoch (UTC): portable, comparable in SQL, exact to the microsecond.
incidents = Table(
    "incidents",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("resource_kind", String(200), nullable=False),
    Column("resource_id", String(3000), nullable=False),
    Column("phase", String(20), nullable=False),
    Column("leg", Integer, nullable=False, default=1),
    Column("holder", String(200)),
    Column("lease_until", Float),
    Column("begun_at", Float),
    Column("wake_at", Float),
    Column("wait_reason", Text),
    Column("failures", Integer, nullable=False, default=0),
    Column("fresh", Integer, nullable=False, default=0),
    Column("recheck", Integer, nullable=False, default=0),
    Column("cancel_by", Text),
    Column("withdrawn", Integer, nullable=False, default=0),
    Column("issue_types", JSON, nullable=False),
    Column("resource", JSON),
    Column("attempts", JSON, nullable=False, default=list),
    Column("outcome", JSON),
    Column("received_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
Index(
    "one_open_incident_per_resource",
    incidents.c.resource_kind,
    incidents.c.resource_id,
    unique=True,
    sqlite_where=incidents.c.phase != "closed",
    postgresql_where=incidents.c.phase != "closed",
)
Index("incidents_by_phase", incidents.c.phase, incidents.c.wake_at)
TO_RECHECK = text("recheck > 0")
"""By literal: a parameter would not let SQLite use the partial index."""
Index("incidents_to_recheck", incidents.c.number, sqlite_where=TO_RECHECK, postgresql_where=TO_RECHECK)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), ForeignKey("incidents.id"), nullable=False),
    Column("fingerprint", String(200), nullable=False),
    Column("starts_at", Float),
    Column("status", String(10), nullable=False),
    Column("body", JSON, nullable=False),
    Column("count", Integer, nullable=False, default=1),
    Column("first_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("news_at", Float, nullable=False),
    # In what words it joined an open incident: a line of the timeline that needs no row of its own.
    Column("joined", Text),
    UniqueConstraint("incident_id", "fingerprint"),
)
Index("known_firings", alerts.c.fingerprint, alerts.c.starts_at)

timeline = Table(
    "timeline",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False),
    Column("key", String(300), nullable=False),
    Column("at", Float, nullable=False),
    Column("node", String(50), nullable=False),
    Column("author", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("records", JSON, nullable=False),
    UniqueConstraint("incident_id", "key"),
)

evidence_raw = Table(
    "evidence_raw",
    metadata,
    Column("ref", String(300), primary_key=True),
    Column("incident_id", String(36), nullable=False, index=True),
    Column("source", String(100), nullable=False),
    Column("raw", Text, nullable=False),
)

# Every command sent for a heal. Texts are kept once: most are the same for every incident of a resource.
command_texts = Table(
    "command_texts",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("command", Text, nullable=False),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False),
    Column("purpose", String(20), nullable=False),
    Column("step", String(200), nullable=False),
    Column("target", String(500), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("first_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("count", Integer, nullable=False, default=1),
    UniqueConstraint("incident_id", "purpose", "step", "target", "digest"),
)

# What is the same in most calls of models, kept once.
model_texts = Table(
    "model_texts",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)

# Every call of a model: what was sent and answered (redacted), and what it cost.
model_calls = Table(
    "model_calls",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False, index=True),
    Column("at", Float, nullable=False, index=True),
    Column("purpose", String(20), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("model", String(200), nullable=False),
    Column("prompt", String(100), nullable=False),
    Column("method", String(20), nullable=False),
    Column("messages", JSON, nullable=False),
    Column("answer", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("problem", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("reported", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("cost_usd", Float),
)

journal = Table(
    "journal",
    metadata,
    Column("idempotency_key", String(200), primary_key=True),
    Column("incident_id", String(36), nullable=False, index=True),
    Column("resource", String(3300), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("action", String(100), nullable=False),
    Column("rendered", Text, nullable=False),
    Column("plan_fingerprint", String(64), nullable=False),
    Column("holder", String(200), nullable=False),
    Column("undo", Integer, nullable=False),
    Column("starts", Integer, nullable=False, default=1),
    Column("started_at", Float, nullable=False),
    Column("deadline_at", Float, nullable=False),
    Column("baseline", JSON, nullable=False),
    Column("result", JSON),
    Column("finished_at", Float),
)
Index("recent_actions", journal.c.resource, journal.c.started_at)

# How heals ended, in columns of their own: what a later heal of the same kind learns from. One row an incident.
past_heals = Table(
    "past_heals",
    metadata,
    Column("incident_id", String(36), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("resource_kind", String(200), nullable=False),
    Column("resource_id", String(3000), nullable=False),
    Column("suspected_cause", String(200), nullable=False),
    Column("target", Text),
    Column("alertnames", JSON, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("rule", String(100), nullable=False),
    Column("attempts", JSON, nullable=False),
    Column("reopened", Integer, nullable=False, default=0),
    Column("comment", Text, nullable=False, default=""),
    Column("closed_at", Float, nullable=False),
)
_of_resource = (past_heals.c.resource_kind, past_heals.c.resource_id)
Index("past_of_resource", *_of_resource, past_heals.c.closed_at)
Index("past_of_resource_and_cause", *_of_resource, past_heals.c.suspected_cause, past_heals.c.closed_at)
Index("past_by_time", past_heals.c.closed_at)
Index("past_of_cause", past_heals.c.resource_kind, past_heals.c.suspected_cause, past_heals.c.closed_at)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(36), nullable=False, index=True),
    Column("asked_fingerprint", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("request", JSON, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("plan_fingerprint", String(64)),
    Column("decision", String(20)),
    Column("decided_by", Text),
    Column("decided_at", Float),
    Column("comment", Text),
    Column("answer", JSON),
)
Index(
    "approvals_waiting",
    approvals.c.asked_at,
    sqlite_where=approvals.c.state == "waiting",
    postgresql_where=approvals.c.state == "waiting",
)

leases = Table(
    "leases",
    metadata,
    Column("target", String(3300), primary_key=True),
    Column("incident_id", String(36), nullable=False, index=True),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(100), nullable=False),
    Column("incident_id", String(36)),
    Column("detail", JSON, nullable=False),
)
keep_append_only(metadata)


class StoreError(Exception):
    """The store can't be used; the message says why and what to do."""


def sqlite_pragmas() -> tuple[str, ...]:
    """FULL: a 202 means the alert survives a power cut."""
    return (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        "PRAGMA busy_timeout=10000",
        NET,
        "PRAGMA foreign_keys=ON",
        # KiB a connection keeps of pages for itself: the system keeps them too, and once for all connections.
        "PRAGMA cache_size=-512",
    )
