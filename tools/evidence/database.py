"""What the database itself says of its own state: whether it takes connections, what it is, and who keeps it busy."""

from __future__ import annotations

from graph.facts import FactValue
from graph.ports import Finding
from graph.records import Incident
from tools.clients.databases.database import (
    DatabaseStatus,
    DatabaseUnreachable,
    Session,
    client_for,
    database_of,
    database_place,
)
from tools.evidence.context import SOURCE_SECONDS, EvidenceContext, ago, asked_of, line, resource_of, text_of, whole

_WORTH_TELLING_SECONDS = 1.0


class DatabaseSource:
    """The one source for which a silent database is not a failure to see, but what is seen."""

    name = "database"
    deadline_seconds = SOURCE_SECONDS + 2

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts db.accepting, and db.unreachable_how or db.role, db.writable, db.version, db.connections_* and of the
        sessions that last longest db.idle_*, db.query_*. Raises StatementFailed."""
        resource = resource_of(incident)
        asked = asked_of(f"status of {database_place(resource)}")
        try:
            status = await client_for(self._context.databases, resource).status(resource)
        except DatabaseUnreachable as error:
            facts: dict[str, FactValue] = {"db.accepting": False, "db.unreachable_how": error.how}
            text = text_of(f"it takes no connection ({error.how}): {line(str(error))}")
            return Finding(asked, text, facts, raw=whole(str(error)))
        declared = database_of(resource).role
        words = "" if status.role == declared else f"though declared {declared}"
        text = text_of(f"{status.role} {words}".strip(), *_words(status))
        return Finding(asked, text, status_facts(status), raw=whole(str(status)))


def status_facts(status: DatabaseStatus) -> dict[str, FactValue]:
    """What is worth knowing of a member that answers."""
    facts: dict[str, FactValue] = {
        "db.accepting": True,
        "db.role": status.role,
        "db.writable": status.writable,
        "db.version": line(status.version, 20),
        "db.uptime_seconds": round(status.uptime_seconds),
        "db.connections_used": status.connections_used,
        "db.connections_max": status.connections_max,
        "db.connections_percent": round(status.connections_percent, 1),
        "db.active": status.active,
    }
    if status.blocked:
        facts["db.blocked"] = status.blocked
    if status.idle_in_transaction:
        facts["db.idle_in_transaction"] = status.idle_in_transaction
    return facts | session_facts("db.idle", status.oldest_idle) | session_facts("db.query", status.longest_query)


def session_facts(prefix: str, session: Session | None) -> dict[str, FactValue]:
    """`db.query_pid`, `…_started`, `…_user`, `…_seconds`, `…_what` of a session that has lasted a while."""
    if session is None or session.seconds < _WORTH_TELLING_SECONDS:
        return {}
    facts: dict[str, FactValue] = {
        f"{prefix}_pid": session.id,
        f"{prefix}_started": line(session.started, 40),
        f"{prefix}_user": line(session.user, 40),
        f"{prefix}_seconds": round(session.seconds, 1),
    }
    return facts | ({f"{prefix}_what": line(session.what, 30)} if session.what else {})


def _words(status: DatabaseStatus) -> list[str]:
    idle, query = status.oldest_idle, status.longest_query
    return [
        f"{status.connections_used} of {status.connections_max} connections",
        f"{status.idle_in_transaction} idle in a transaction, the oldest for {ago(idle.seconds)}" if idle else "",
        f"longest query {ago(query.seconds)} (pid {query.id})" if query and query.seconds >= 1 else "",
        f"{status.blocked} wait for locks" if status.blocked else "",
        "writable" if status.writable else "read-only",
        f"up for {ago(status.uptime_seconds)}",
    ]
