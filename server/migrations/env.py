"""What Alembic runs for every command: migrations on the connection that `server.store.upgrading` hands over."""

from __future__ import annotations

from alembic import context

from server.store.preparing import metadata_of_all_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata_of_all_tables(),
    transactional_ddl=True,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
