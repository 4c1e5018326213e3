"""One named look into the database server, as a small table."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from graph.ports import Finding
from tools.clients.databases.database import Row, client_for, database_of
from tools.condensing.plain_text import one_line, within
from tools.evidence.context import whole
from tools.inquiries.database_views import MOST_ROWS, VIEWS, View
from tools.inquiries.inquiry import Asking, InquiryTool, Params, narrowed, one_of

_MOST_COLUMNS = 10
_CELL_BYTES = 80
_ERROR_BYTES = 200
"""Cells that tell of an error are worth more room."""


class DatabaseViewParams(Params):
    view: str


def params(asking: Asking) -> type[BaseModel] | None:
    """Only databases with a client, and what their engine can show."""
    database = asking.resource.database
    if database is None or database.engine not in asking.context.databases or database.engine not in VIEWS:
        return None
    return narrowed(DatabaseViewParams, view=one_of(tuple(VIEWS[database.engine])))


async def gather(asking: Asking, given: DatabaseViewParams) -> Finding:
    """No facts. Raises DatabaseError."""
    resource = asking.resource
    client = client_for(asking.context.databases, resource)
    view = VIEWS[database_of(resource).engine][given.view]
    tables = [(name, await client.execute(resource, statement)) for name, statement in view.statements]
    asked = "; ".join(client.render(resource, statement) for _, statement in view.statements)
    if not any(rows for _, rows in tables):
        return Finding(asked, within(view.empty, asking.max_bytes))
    shown = [(name, [_chosen(row, view) for row in rows]) for name, rows in tables if rows]
    text = "\n".join(f"{name}:\n{table(rows)}" for name, rows in shown)
    raw = "\n".join(f"{name}: {dict(row)}" for name, rows in shown for row in rows)
    return Finding(asked, within(text, asking.max_bytes), raw=whole(raw))


def table(rows: Sequence[Row]) -> str:
    """Names and values between bars, at most MOST_ROWS; a single row as `name=value`, nothing for what is NULL."""
    if len(rows) == 1:
        return ", ".join(
            f"{_cell(name, name)}={_cell(name, value)}" for name, value in _columns(rows[0]) if value != ""
        )
    lines = ["|".join(_cell(name, name) for name, _ in _columns(rows[0]))] if rows else []
    lines += ["|".join(_cell(name, value) for name, value in _columns(row)) for row in rows[:MOST_ROWS]]
    return "\n".join([*lines, *(["(and more)"] if len(rows) > MOST_ROWS else [])])


def _chosen(row: Row, view: View) -> Row:
    return {name: row[name] for name in view.columns if name in row} if view.columns else row


def _columns(row: Row) -> list[tuple[str, str]]:
    return [(name, "" if value is None else str(value)) for name, value in list(row.items())[:_MOST_COLUMNS]]


def _cell(name: str, value: str) -> str:
    return one_line(value.replace("|", "/"), _ERROR_BYTES if name.lower().endswith("_error") else _CELL_BYTES)


DATABASE_VIEW = InquiryTool(
    "database_view", "Look into the database: sessions, locks, replication …", 20, params, gather
)
