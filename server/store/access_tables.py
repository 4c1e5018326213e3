"""The tables of signing in. No secret is in them: of session ids and tokens only their SHA-256."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Integer, String, Table, Text

from server.store.schema import metadata

# Who is signed in. `grant`: what the role follows from, judged anew by the settings at each request.
sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("via", String(20), nullable=False),
    Column("role", String(20), nullable=False),
    Column("grant", JSON, nullable=False),
    Column("address", String(100), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("last_seen_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
)

# The way in of the very first: good once.
one_time_tokens = Table(
    "one_time_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("made_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_at", Float),
)

# Wrong sign-ins of late, by name and by address.
sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Float, nullable=False, index=True),
    Column("until", Float, nullable=False),
)
