"""How databases of earlier releases become today's: Alembic's migrations, run when a database is opened."""
