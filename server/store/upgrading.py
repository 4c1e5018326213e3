"""Runs Alembic on an open connection. Imported only where a database is older than this release: it is slow to load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's, for our migrations; on this connection, in its transaction."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the database to this revision, step by step."""
    command.upgrade(configuration(connection), revision)


def known_revisions() -> list[str]:
    """All there are, oldest first."""
    script: Any = ScriptDirectory.from_config(configuration())
    return [step.revision for step in reversed(list(script.walk_revisions()))]
