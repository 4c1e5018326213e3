"""What is left of an incident's rows beside its story: what is searched for, counted, or judged by.

Alerts, so that one that comes again is known; side effects and approvals, as the ladder of trust is judged by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, null, select, update

from server.store.schema import alerts, approvals, commands, evidence_raw, journal, model_calls, timeline
from server.store.slimming import cut
from server.store.telling_tables import calls, notifications, plots

MOST_ALERTS = 3
MOST_ACTIONS = 6
MOST_APPROVALS = 5
SETTLED = ("sent", "digested", "dropped", "gave_up")
"""States of notices that nothing more will become of."""


def thin(connection: Connection, row: Row[Any]) -> None:
    """Leave of an incident's rows only what must be found in columns. Its story is kept elsewhere."""
    for table in (timeline, commands, model_calls, evidence_raw, plots):
        _clear(connection, table, table.c.incident_id == row.id)
    _thin_alerts(connection, row.id)
    _thin_actions(connection, row.id)
    _thin_approvals(connection, row.id)
    settled = (notifications.c.incident_id == row.id) & notifications.c.state.in_(SETTLED)
    _clear(connection, notifications, settled)
    _thin_calls(connection, row.id)


def _thin_alerts(connection: Connection, incident_id: str) -> None:
    """A few, of different names first, by what they are known by."""
    rows = connection.execute(select(alerts).where(alerts.c.incident_id == incident_id).order_by(alerts.c.id)).all()
    named: dict[str, Row[Any]] = {}
    for row in rows:
        named.setdefault(row.body["labels"].get("alertname", "unnamed"), row)
    first = {row.id for row in named.values()}
    for row in _others(connection, alerts.c.id, rows, first, MOST_ALERTS):
        name = str(row.body["labels"].get("alertname", "unnamed"))
        body = {"status": row.status, "labels": {"alertname": cut(name, 100)}, "fingerprint": row.fingerprint}
        # What it said in joining is told by the story.
        connection.execute(update(alerts).where(alerts.c.id == row.id).values(body=body, joined=None))


def _thin_actions(connection: Connection, incident_id: str) -> None:
    """One of each plan and of its undoing first: what the ladder looks at."""
    key = journal.c.idempotency_key
    rows = connection.execute(
        select(journal).where(journal.c.incident_id == incident_id).order_by(journal.c.started_at, key)
    ).all()
    sorts: dict[tuple[Any, ...], Row[Any]] = {}
    for row in rows:
        sorts.setdefault((row.attempt, row.plan_fingerprint, row.undo), row)
    first = {row.idempotency_key for row in sorts.values()}
    kept = _chosen(rows, first, MOST_ACTIONS, lambda row: row.idempotency_key)
    gone = [row for row in rows if row not in kept]
    _clear(connection, journal, key.in_([row.idempotency_key for row in gone]))
    for row in kept:
        result = {"status": row.result["status"]} if row.result else null()
        values: dict[str, Any] = {"rendered": "", "baseline": {}, "holder": "", "result": result}
        connection.execute(update(journal).where(key == row.idempotency_key).values(**values))


def _thin_approvals(connection: Connection, incident_id: str) -> None:
    """The decided ones first, without what was asked."""
    rows = connection.execute(
        select(approvals).where(approvals.c.incident_id == incident_id).order_by(approvals.c.id)
    ).all()
    first = {row.id for row in rows if row.decision is not None}
    for row in _others(connection, approvals.c.id, rows, first, MOST_APPROVALS):
        slim = {"request": {}, "plan": {}, "answer": null(), "comment": None}
        connection.execute(update(approvals).where(approvals.c.id == row.id).values(**slim))


def _thin_calls(connection: Connection, incident_id: str) -> None:
    """Only the last: of it is told who has taken note."""
    mine = select(calls.c.id).where(calls.c.incident_id == incident_id).order_by(calls.c.id.desc())
    ids = list(connection.execute(mine).scalars())
    _clear(connection, calls, calls.c.id.in_(ids[1:]))
    connection.execute(update(calls).where(calls.c.id.in_(ids[:1])).values(payload={}, told=[]))


def _others(connection: Connection, key: Any, rows: Sequence[Row[Any]], first: set[Any], most: int) -> list[Row[Any]]:
    """Delete all but some; returns these."""
    kept = _chosen(rows, first, most, lambda row: row.id)
    gone = [row.id for row in rows if row not in kept]
    if gone:
        connection.execute(delete(key.table).where(key.in_(gone)))
    return kept


def _chosen(rows: Sequence[Row[Any]], first: set[Any], most: int, key: Any) -> list[Row[Any]]:
    ranked = sorted(range(len(rows)), key=lambda index: (key(rows[index]) not in first, index))
    return [rows[index] for index in sorted(ranked[:most])]


def _clear(connection: Connection, table: Table, which: Any) -> None:
    connection.execute(delete(table).where(which))
