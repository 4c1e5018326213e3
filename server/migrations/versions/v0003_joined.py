"""That an alert joined is told by its own row. What was told of it before stays where it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alerts", sa.Column("joined", sa.Text(), nullable=True))
