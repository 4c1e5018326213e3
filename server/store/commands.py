"""The record of every command that a heal has sent: what, where, what for, and how often."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, select

from graph.ports import SentCommand
from server.store import quick
from server.store.rows import inserting, iso, stamp
from server.store.schema import command_texts, commands

_SAME = ("incident_id", "purpose", "step", "target", "digest")


def sent(connection: Connection, command: SentCommand) -> None:
    """Write it down; what was sent before for the same purpose is counted."""
    digest = hashlib.sha256(command.command.encode("utf-8", "surrogatepass")).hexdigest()
    at = stamp(command.at)
    dialect = connection.dialect.name
    quick.run(connection, _keeping(dialect), {"digest": digest, "command": command.command})
    values = {
        "incident_id": command.doing.incident_id,
        "purpose": command.doing.purpose,
        "step": command.doing.step,
        "target": command.target,
        "digest": digest,
        "first_at": at,
        "last_at": at,
        "count": 1,
    }
    quick.run(connection, _counting(dialect), values)


@cache
def _keeping(dialect_name: str) -> Insert:
    once: Insert = inserting(dialect_name, command_texts).on_conflict_do_nothing(index_elements=["digest"])
    return once


@cache
def _counting(dialect_name: str) -> Insert:
    statement = inserting(dialect_name, commands)
    again = {"count": commands.c.count + 1, "last_at": statement.excluded.last_at}
    whole: Insert = statement.on_conflict_do_update(index_elements=list(_SAME), set_=again)
    return whole


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
