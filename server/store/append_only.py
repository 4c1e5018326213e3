"""The audit log can only be added to: the database itself refuses to change or delete what is in it.

Made anew whenever a database is opened, so that those of earlier releases have it too. Whoever may drop a trigger can
still change the log; nothing in Self-Heal does.
"""

from __future__ import annotations

from sqlalchemy import DDL, MetaData, event

REFUSAL = "the audit log is append-only"

_SQLITE = tuple(
    f"CREATE TRIGGER IF NOT EXISTS audit_no_{verb.lower()} BEFORE {verb} ON audit {when}"
    f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    for verb, when in (
        ("UPDATE", ""),
        ("DELETE", ""),
        # INSERT OR REPLACE deletes without calling the trigger above.
        ("INSERT", "WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) "),
    )
)
_POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$",
    "DROP TRIGGER IF EXISTS audit_no_change ON audit",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()",
)


def keep_append_only(metadata: MetaData) -> None:
    """Have `create_all` of that metadata, which holds the table `audit`, also make the triggers."""
    for dialect, statements in (("sqlite", _SQLITE), ("postgresql", _POSTGRESQL)):
        for statement in statements:
            trigger = DDL(statement.replace("%", "%%")).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
            event.listen(metadata, "after_create", trigger)
