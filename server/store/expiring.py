"""What goes for good: evidence whose time is over, incidents whose time is over, and what nobody refers to any more.

The audit log stays, and so does what later heals and the ladder of trust learn from: it has tables of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from server.store import ladder
from server.store.auditing import record
from server.store.measuring import tables_of_incidents
from server.store.model_calls import shared_by
from server.store.retention_tables import compactions, deleted_heals, evidence_packs
from server.store.rows import add, incident_row, iso, stamp
from server.store.schema import (
    command_texts,
    commands,
    evidence_raw,
    incidents,
    model_calls,
    model_texts,
)
from server.store.telling_tables import notifications, outbox, plots
from server.store.thinning import SETTLED

OUTLIVE = frozenset({"audit", "past_heals", "demotions", "deleted_heals"})
"""Tables that name incidents but keep what they say of them when these are deleted."""
AUTHOR = "self-heal"


def expire(connection: Connection, incident_id: str, cutoff: datetime, now: datetime) -> bool:
    """Let go of an incident's evidence. False where its time is not over (any more)."""
    row = incident_row(connection, incident_id)
    if row is None or row.phase != "closed" or row.updated_at > stamp(cutoff):
        return False
    # Beside the pack: what could not be packed.
    for table in (evidence_packs, evidence_raw, plots, commands):
        connection.execute(delete(table).where(table.c.incident_id == row.id))
    mine = compactions.c.incident_id == row.id
    connection.execute(update(compactions).where(mine).values(evidence=0, expired_at=stamp(now)))
    return True


def forget(connection: Connection, ids: list[str], cutoff: datetime, now: datetime) -> list[int]:
    """Delete these incidents, as far as their time is over. Returns their numbers; the audit log has them too."""
    # Numbers are given by counting on from the highest: that one stays, or it would be given again.
    newest = connection.execute(select(func.max(incidents.c.number))).scalar()
    gone: list[int] = []
    for incident_id in ids:
        row = incident_row(connection, incident_id)
        over = row is not None and row.phase == "closed" and not row.recheck and row.updated_at <= stamp(cutoff)
        if row is not None and over and row.number != newest:
            _forget(connection, row, now)
            gone.append(row.number)
    if gone:
        told = {"numbers": gone, "closed_before": iso(stamp(cutoff))}
        record(connection, AUTHOR, "delete_incidents", None, now, **told)
    return gone


def _forget(connection: Connection, row: Row[Any], now: datetime) -> None:
    if (facts := ladder.sheet_of(connection, row)) is not None:
        known = {"incident_id": row.id, "number": row.number, "received_at": row.received_at}
        add(connection, deleted_heals, **known, deleted_at=stamp(now), facts=facts)
    for table in tables_of_incidents():
        if table.name not in OUTLIVE:
            connection.execute(delete(table).where(table.c.incident_id == row.id))
    connection.execute(delete(incidents).where(incidents.c.id == row.id))


def clear_notices(connection: Connection, before: datetime, limit: int) -> int:
    """Notices that were settled long ago, and digests. Returns how many were cleared."""
    settled = select(outbox.c.id).where(outbox.c.sent_at <= stamp(before)).order_by(outbox.c.id).limit(limit)
    gone = connection.execute(delete(outbox).where(outbox.c.id.in_(settled))).rowcount
    table = notifications.c
    digests = (table.incident_id == "", table.state.in_(SETTLED), table.created_at <= stamp(before))
    ids = list(connection.execute(select(table.id).where(*digests).order_by(table.id).limit(limit)).scalars())
    return gone + connection.execute(delete(notifications).where(table.id.in_(ids))).rowcount


def unused_commands(connection: Connection) -> list[str]:
    """Digests of commands that no incident names any more."""
    used = select(commands.c.digest)
    return list(connection.execute(select(command_texts.c.digest).where(command_texts.c.digest.not_in(used))).scalars())


def clear_commands(connection: Connection, digests: list[str]) -> int:
    """Of these, those that are still named by none."""
    used = select(commands.c.digest).where(commands.c.digest.in_(digests))
    gone = delete(command_texts).where(command_texts.c.digest.in_(digests), command_texts.c.digest.not_in(used))
    return connection.execute(gone).rowcount


def unused_prompts(connection: Connection) -> list[str]:
    """Digests of texts that no model call on record names any more."""
    used: set[str] = set()
    for messages in connection.execute(select(model_calls.c.messages)).scalars():
        used |= shared_by(messages)
    return [digest for digest in connection.execute(select(model_texts.c.digest)).scalars() if digest not in used]


def clear_prompts(connection: Connection, digests: list[str], since: datetime) -> int:
    """Of these, those that are not named by a call since then, either: it may have come while they were looked for."""
    news = connection.execute(select(model_calls.c.messages).where(model_calls.c.at >= stamp(since))).scalars()
    used = {digest for messages in news for digest in shared_by(messages)}
    gone = [digest for digest in digests if digest not in used]
    return connection.execute(delete(model_texts).where(model_texts.c.digest.in_(gone))).rowcount
