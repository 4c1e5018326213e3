"""The table of what has been counted over all processes and for ever, where the rows counted may go."""

from __future__ import annotations

from sqlalchemy import Column, Float, String, Table

from server.store.schema import metadata

# One row for every series there is of a total: so many of that name and with those labels (a JSON list) so far.
tallies = Table(
    "tallies",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("labels", String(1000), primary_key=True),
    Column("value", Float, nullable=False),
)
