"""Counts of rows that are deleted, kept for the metrics: a counter must not go back because rows were cleared away."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from server.store.retention_tables import retired_counts
from server.store.rows import upsert
from server.store.schema import model_calls
from server.store.telling_tables import notifications

_OF_CALLS = ("model", "purpose", "status")
_OF_NOTICES = ("target", "event", "state")
_SUMS = ("input_tokens", "output_tokens", "seconds", "cost_usd")


def retire(connection: Connection, what: str, labels: Mapping[str, str], amounts: Mapping[str, float]) -> None:
    """Add to what is counted of rows that are gone."""
    name = json.dumps(labels, sort_keys=True, ensure_ascii=False)
    mine = (retired_counts.c.what == what, retired_counts.c.labels == name)
    before = connection.execute(select(retired_counts.c.amounts).where(*mine)).scalar() or {}
    total = {key: before.get(key, 0) + (amount or 0) for key, amount in amounts.items()}
    upsert(connection, retired_counts, {"what": what, "labels": name, "amounts": total}, ("what", "labels"))


def retire_calls(connection: Connection, incident_id: str) -> None:
    """The model calls of an incident that is about to be without them."""
    by = (model_calls.c.model, model_calls.c.purpose, model_calls.c.status)
    sums = [func.sum(model_calls.c[name]).label(name) for name in _SUMS]
    rows = connection.execute(
        select(*by, func.count().label("calls"), *sums).where(model_calls.c.incident_id == incident_id).group_by(*by)
    ).all()
    for row in rows:
        labels = {"model": row.model, "purpose": row.purpose, "status": row.status}
        amounts = {name: getattr(row, name) for name in ("calls", *_SUMS)}
        retire(connection, "model_calls", labels, amounts)


def retire_notices(connection: Connection, which: Any) -> None:
    table = notifications.c
    by = (table.target, table.event, table.state)
    sums = (
        func.count().label("notices"),
        func.sum(table.tries).label("failed"),
        func.sum(table.folded).label("folded"),
    )
    for row in connection.execute(select(*by, *sums).where(which).group_by(*by)).all():
        labels = {"target": row.target, "event": row.event, "state": row.state}
        amounts = {"notices": row.notices, "failed": row.failed, "folded": row.folded}
        retire(connection, "notifications", labels, amounts)


def retire_actions(connection: Connection, rows: Iterable[Row[Any]]) -> None:
    """Side effects whose rows go."""
    for row in rows:
        status = (row.result or {}).get("status", "started")
        retire(connection, "actions", {"name": f"{row.action}/{status}"}, {"number": 1})


def with_retired(connection: Connection, counts: Mapping[str, Any]) -> dict[str, Any]:
    """What `server.store.reading.counts` counts in rows, and what was counted in those that are gone."""
    gone: dict[str, list[dict[str, Any]]] = {}
    for row in connection.execute(select(retired_counts)):
        gone.setdefault(row.what, []).append({**json.loads(row.labels), **row.amounts})
    return {
        **counts,
        "outcomes": _added(counts["outcomes"], gone.get("outcomes", ())),
        "actions": _added(counts["actions"], gone.get("actions", ())),
        "model_calls": _merged(counts["model_calls"], gone.get("model_calls", ()), _OF_CALLS),
        "notifications": _merged(counts["notifications"], gone.get("notifications", ()), _OF_NOTICES),
    }


def _merged(
    rows: Iterable[Mapping[str, Any]], gone: Iterable[Mapping[str, Any]], by: Sequence[str]
) -> list[dict[str, Any]]:
    """One row for each set of labels: what is scraped must not be told twice."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in (*rows, *gone):
        labels = tuple(row[name] for name in by)
        total = found.setdefault(labels, dict(zip(by, labels, strict=True)))
        for name, amount in row.items():
            if name not in by:
                total[name] = (total.get(name) or 0) + (amount or 0)
    return list(found.values())


def _added(counts: Mapping[str, int], gone: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    total = dict(counts)
    for item in gone:
        total[item["name"]] = total.get(item["name"], 0) + item["number"]
    return total
