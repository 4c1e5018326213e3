"""The tables of the first releases, which made what was missing whenever they opened a database.

So any of these tables may be there or not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

REFUSAL = "the audit log is append-only"
AUDIT_OF_SQLITE = (
    f"CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    f"CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    "CREATE TRIGGER IF NOT EXISTS audit_no_insert BEFORE INSERT ON audit "
    "WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) "
    f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
)
AUDIT_OF_POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$",
    "DROP TRIGGER IF EXISTS audit_no_change ON audit",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()",
)


def upgrade() -> None:
    _incidents()
    _told()
    _commands()
    _models()
    _side_effects()
    _past()
    _approvals()
    _audit()
    _people()
    _outgoing()
    _calls()
    _kept()
    _access()
    of_postgresql = op.get_context().dialect.name == "postgresql"
    for statement in AUDIT_OF_POSTGRESQL if of_postgresql else AUDIT_OF_SQLITE:
        op.execute(sa.text(statement.replace(":", "\\:")))


def _incidents() -> None:
    """Incidents with their alerts."""
    op.create_table("meta", sa.Column("schema_version", sa.Integer(), nullable=False), if_not_exists=True)
    op.create_table(
        "incidents",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("resource_kind", sa.String(length=200), nullable=False),
        sa.Column("resource_id", sa.String(length=3000), nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("leg", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("begun_at", sa.Float(), nullable=True),
        sa.Column("wake_at", sa.Float(), nullable=True),
        sa.Column("wait_reason", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("fresh", sa.Integer(), nullable=False),
        sa.Column("recheck", sa.Integer(), nullable=False),
        sa.Column("cancel_by", sa.Text(), nullable=True),
        sa.Column("withdrawn", sa.Integer(), nullable=False),
        sa.Column("issue_types", sa.JSON(), nullable=False),
        sa.Column("resource", sa.JSON(), nullable=True),
        sa.Column("attempts", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        if_not_exists=True,
    )
    op.create_index("incidents_by_phase", "incidents", ["phase", "wake_at"], unique=False, if_not_exists=True)
    op.create_index(
        "one_open_incident_per_resource",
        "incidents",
        ["resource_kind", "resource_id"],
        unique=True,
        sqlite_where=sa.text("phase != 'closed'"),
        postgresql_where=sa.text("phase != 'closed'"),
        if_not_exists=True,
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("fingerprint", sa.String(length=200), nullable=False),
        sa.Column("starts_at", sa.Float(), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.Column("news_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["incidents.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("incident_id", "fingerprint"),
        if_not_exists=True,
    )
    op.create_index("known_firings", "alerts", ["fingerprint", "starts_at"], unique=False, if_not_exists=True)


def _told() -> None:
    """What is told of them, and the evidence behind it."""
    op.create_table(
        "timeline",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("node", sa.String(length=50), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("records", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("incident_id", "key"),
        if_not_exists=True,
    )
    op.create_table(
        "evidence_raw",
        sa.Column("ref", sa.String(length=300), nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("ref"),
        if_not_exists=True,
    )
    op.create_index("ix_evidence_raw_incident_id", "evidence_raw", ["incident_id"], unique=False, if_not_exists=True)


def _commands() -> None:
    """What was sent to the outside."""
    op.create_table(
        "command_texts",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        if_not_exists=True,
    )
    op.create_table(
        "commands",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("target", sa.String(length=500), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("first_at", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("incident_id", "purpose", "step", "target", "digest"),
        if_not_exists=True,
    )


def _models() -> None:
    """What models were asked."""
    op.create_table(
        "model_texts",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        if_not_exists=True,
    )
    op.create_table(
        "model_calls",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("prompt", sa.String(length=100), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("reported", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index("ix_model_calls_at", "model_calls", ["at"], unique=False, if_not_exists=True)
    op.create_index("ix_model_calls_incident_id", "model_calls", ["incident_id"], unique=False, if_not_exists=True)


def _side_effects() -> None:
    """What was begun, and who holds what."""
    op.create_table(
        "journal",
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("resource", sa.String(length=3300), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("rendered", sa.Text(), nullable=False),
        sa.Column("plan_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("undo", sa.Integer(), nullable=False),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("deadline_at", sa.Float(), nullable=False),
        sa.Column("baseline", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("idempotency_key"),
        if_not_exists=True,
    )
    op.create_index("ix_journal_incident_id", "journal", ["incident_id"], unique=False, if_not_exists=True)
    op.create_index("recent_actions", "journal", ["resource", "started_at"], unique=False, if_not_exists=True)
    op.create_table(
        "leases",
        sa.Column("target", sa.String(length=3300), nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("target"),
        if_not_exists=True,
    )
    op.create_index("ix_leases_incident_id", "leases", ["incident_id"], unique=False, if_not_exists=True)


def _past() -> None:
    """How heals ended."""
    op.create_table(
        "past_heals",
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("resource_kind", sa.String(length=200), nullable=False),
        sa.Column("resource_id", sa.String(length=3000), nullable=False),
        sa.Column("suspected_cause", sa.String(length=200), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("alertnames", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("rule", sa.String(length=100), nullable=False),
        sa.Column("attempts", sa.JSON(), nullable=False),
        sa.Column("reopened", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id"),
        if_not_exists=True,
    )
    op.create_index(
        "past_of_cause",
        "past_heals",
        ["resource_kind", "suspected_cause", "closed_at"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "past_of_resource",
        "past_heals",
        ["resource_kind", "resource_id", "closed_at"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "past_of_resource_and_cause",
        "past_heals",
        ["resource_kind", "resource_id", "suspected_cause", "closed_at"],
        unique=False,
        if_not_exists=True,
    )


def _approvals() -> None:
    """What people were asked."""
    op.create_table(
        "approvals",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("asked_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("plan_fingerprint", sa.String(length=64), nullable=True),
        sa.Column("decision", sa.String(length=20), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.Float(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index("ix_approvals_incident_id", "approvals", ["incident_id"], unique=False, if_not_exists=True)


def _audit() -> None:
    """Who did what."""
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("what", sa.String(length=100), nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )


def _people() -> None:
    """What people do beside deciding."""
    op.create_table(
        "pauses",
        sa.Column("scope", sa.String(length=3300), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("scope"),
        if_not_exists=True,
    )
    op.create_table(
        "takings",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index("ix_takings_incident_id", "takings", ["incident_id"], unique=False, if_not_exists=True)
    op.create_table(
        "confirmations",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("cause", sa.String(length=200), nullable=False),
        sa.Column("right", sa.Integer(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index("ix_confirmations_incident_id", "confirmations", ["incident_id"], unique=False, if_not_exists=True)
    op.create_table(
        "demotions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("resource_kind", sa.String(length=200), nullable=False),
        sa.Column("issue_type", sa.String(length=50), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("lifted_at", sa.Float(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index("demoted_pairs", "demotions", ["resource_kind", "issue_type"], unique=False, if_not_exists=True)


def _outgoing() -> None:
    """Notices on their way."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("resource", sa.String(length=3300), nullable=False),
        sa.Column("event", sa.String(length=30), nullable=False),
        sa.Column("dedup", sa.String(length=300), nullable=False),
        sa.Column("target", sa.String(length=100), nullable=False),
        sa.Column("call_id", sa.Integer(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("folded", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("incident_id", "event", "dedup", "target"),
        if_not_exists=True,
    )
    op.create_index(
        "notifications_due", "notifications", ["state", "target", "next_at"], unique=False, if_not_exists=True
    )


def _calls() -> None:
    """Who is called, and has taken note."""
    op.create_table(
        "calls",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("event", sa.String(length=30), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("ended_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index("ix_calls_ended_at", "calls", ["ended_at"], unique=False, if_not_exists=True)
    op.create_index("ix_calls_incident_id", "calls", ["incident_id"], unique=False, if_not_exists=True)
    op.create_table(
        "acknowledgements",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("call_id", sa.Integer(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_acknowledgements_incident_id", "acknowledgements", ["incident_id"], unique=False, if_not_exists=True
    )


def _kept() -> None:
    """Silences and plots."""
    op.create_table(
        "silences",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("fingerprint", sa.String(length=200), nullable=False),
        sa.Column("silence_id", sa.String(length=100), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("lifted", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("incident_id", "fingerprint"),
        if_not_exists=True,
    )
    op.create_table(
        "plots",
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id"),
        if_not_exists=True,
    )


def _access() -> None:
    """Who is signed in."""
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("via", sa.String(length=20), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("grant", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("last_seen_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        if_not_exists=True,
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False, if_not_exists=True)
    op.create_table(
        "one_time_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("used_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
        if_not_exists=True,
    )
    op.create_table(
        "sign_in_failures",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        if_not_exists=True,
    )
    op.create_index("ix_sign_in_failures_last_at", "sign_in_failures", ["last_at"], unique=False, if_not_exists=True)
