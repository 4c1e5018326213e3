"""The record of every command that a heal has sent: what, where, what for, and how often."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, and_, select, update

from graph.ports import SentCommand
from server.store.rows import add, iso, stamp
from server.store.schema import command_texts, commands


def sent(connection: Connection, command: SentCommand) -> None:
    """Write it down; what was sent before for the same purpose is counted."""
    digest = hashlib.sha256(command.command.encode("utf-8", "surrogatepass")).hexdigest()
    at = stamp(command.at)
    key = {
        "incident_id": command.doing.incident_id,
        "purpose": command.doing.purpose,
        "step": command.doing.step,
        "target": command.target,
        "digest": digest,
    }
    same = and_(*(commands.c[name] == value for name, value in key.items()))
    again = connection.execute(update(commands).where(same).values(count=commands.c.count + 1, last_at=at))
    if again.rowcount:
        return
    if connection.execute(select(command_texts.c.digest).where(command_texts.c.digest == digest)).first() is None:
        add(connection, command_texts, digest=digest, command=command.command)
    add(connection, commands, **key, first_at=at, last_at=at, count=1)


def commands_of(connection: Connection, incident_id: str) -> list[dict[str, Any]]:
    """All commands of an incident, in the order in which they were first sent."""
    rows = connection.execute(
        select(commands, command_texts.c.command)
        .join(command_texts, command_texts.c.digest == commands.c.digest)
        .where(commands.c.incident_id == incident_id)
        .order_by(commands.c.id)
    )
    return [
        {
            "purpose": row.purpose,
            "step": row.step,
            "target": row.target,
            "command": row.command,
            "first_at": iso(row.first_at),
            "last_at": iso(row.last_at),
            "count": row.count,
        }
        for row in rows
    ]
