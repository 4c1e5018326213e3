"""What several processes on one database need, the fleet's budget, storms, retention and totals; the one pause of the
first releases moves to where pauses are now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _processes()
    _budget()
    _retention()
    _storms()
    _indexes()
    if "switches" in sa.inspect(op.get_bind()).get_table_names():
        _take_over_pause()
    # The first releases leave a database alone that says another number than theirs.
    op.execute("DELETE FROM meta")
    op.execute("INSERT INTO meta (schema_version) VALUES (2)")


def _processes() -> None:
    """Who is alive, who does which chore, and what has been counted."""
    op.create_table(
        "workers",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(50), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "duties",
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tallies",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("labels", sa.String(1000), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels"),
    )


def _budget() -> None:
    """What a fleet may do at once, and how often."""
    op.create_table(
        "places",
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("of_group", sa.String(3000), nullable=False),
        sa.Column("machine", sa.String(3300), nullable=False),
        sa.Column("resource", sa.String(3300), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("promised_until", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("incident_id"),
    )
    op.create_index("places_of_group", "places", ["of_group"], unique=False)
    op.create_table(
        "held_heals",
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("rule", sa.String(100), nullable=False),
        sa.Column("of_group", sa.String(3000), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id"),
    )
    op.create_index("held_by_rule", "held_heals", ["rule", "of_group", "since"], unique=False)
    op.create_table(
        "recent_starts",
        sa.Column("idempotency_key", sa.String(200), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("of_group", sa.String(3000), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("idempotency_key"),
    )
    op.create_index("recent_by_time", "recent_starts", ["at"], unique=False)
    op.create_table(
        "cool_downs",
        sa.Column("resource", sa.String(3300), nullable=False),
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("escalated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("resource"),
    )
    op.create_index("cool_downs_by_time", "cool_downs", ["escalated_at"], unique=False)


def _retention() -> None:
    """What is left of incidents that are over."""
    op.create_table(
        "compactions",
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("closed_at", sa.Float(), nullable=False),
        sa.Column("story", sa.LargeBinary(), nullable=False),
        sa.Column("left_out", sa.JSON(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("thawed", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.Integer(), nullable=False),
        sa.Column("expired_at", sa.Float(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id"),
    )
    op.create_index("evidence_to_expire", "compactions", ["evidence", "closed_at"], unique=False)
    op.create_table(
        "evidence_packs",
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("whole_bytes", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id"),
    )
    op.create_table(
        "deleted_heals",
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("deleted_at", sa.Float(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id"),
    )
    op.create_index("ix_deleted_heals_received_at", "deleted_heals", ["received_at"], unique=False)
    op.create_table(
        "retention_runs",
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("done", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _storms() -> None:
    """What fails together."""
    op.create_table(
        "storms",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("share_kind", sa.String(20), nullable=False),
        sa.Column("share_name", sa.String(3300), nullable=False),
        sa.Column("spared", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("began_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("ended_how", sa.String(20), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("incident_id"),
    )
    op.create_index("ix_storms_ended_at", "storms", ["ended_at"], unique=False)
    op.create_table(
        "storm_members",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("storm_id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("joined_at", sa.Float(), nullable=False),
        sa.Column("left_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("storm_id", "incident_id"),
    )
    op.create_index("storms_of_incident", "storm_members", ["incident_id", "storm_id"], unique=False)
    op.create_table(
        "storm_notices",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("storm_id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("event", sa.String(30), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_storm_notices_storm_id", "storm_notices", ["storm_id"], unique=False)


def _indexes() -> None:
    """What is looked for often."""
    op.create_index(
        "approvals_waiting",
        "approvals",
        ["asked_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("incidents_by_end", "incidents", ["phase", "updated_at"], unique=False)
    op.create_index(
        "incidents_to_recheck",
        "incidents",
        ["number"],
        unique=False,
        sqlite_where=sa.text("recheck > 0"),
        postgresql_where=sa.text("recheck > 0"),
    )
    op.create_index("past_by_time", "past_heals", ["closed_at"], unique=False)


def _take_over_pause() -> None:
    op.execute(
        'INSERT INTO pauses (scope, "by", reason, at, until) '
        "SELECT 'all', \"by\", reason, at, NULL FROM switches WHERE name = 'pause' "
        "AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope = 'all')"
    )
    op.drop_table("switches")
