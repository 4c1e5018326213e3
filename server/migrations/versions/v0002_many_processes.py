"""What several processes on one database need; the one pause of the first releases moves to where pauses are now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.String(50), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
    )
    op.create_table(
        "duties",
        sa.Column("name", sa.String(50), primary_key=True),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    if "switches" in sa.inspect(op.get_bind()).get_table_names():
        _take_over_pause()
    # The first releases leave a database alone that says another number than theirs.
    op.execute("DELETE FROM meta")
    op.execute("INSERT INTO meta (schema_version) VALUES (2)")


def _take_over_pause() -> None:
    op.execute(
        'INSERT INTO pauses (scope, "by", reason, at, until) '
        "SELECT 'all', \"by\", reason, at, NULL FROM switches WHERE name = 'pause' "
        "AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope = 'all')"
    )
    op.drop_table("switches")
