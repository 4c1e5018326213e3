"""Totals that only grow: written in the transaction of what they count, whichever process that is.

Counting the rows of incidents, notices and calls at each scrape would take the longer the more there are, and would
count down where old rows are cleared away, which Prometheus takes for a restart.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping
from functools import cache

from sqlalchemy import Connection, Insert, select

from server.store import quick
from server.store.counting_tables import tallies
from server.store.rows import inserting

OUTCOMES = "outcomes"
ACTIONS_STARTED = "actions_started"
ACTIONS = "actions"
LEASES_LOST = "leases_lost"
LEGS_OVERTAKEN = "legs_overtaken"
MODEL_CALLS = "model_calls"
MODEL_TOKENS = "model_tokens"
MODEL_SECONDS = "model_seconds"
MODEL_COST = "model_cost_usd"
NOTIFICATIONS = "notifications"
NODE_SECONDS = "node_seconds"
HEAL_SECONDS = "heal_seconds"

BUCKETS: Mapping[str, tuple[float, ...]] = {
    NODE_SECONDS: (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120),
    HEAL_SECONDS: (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400),
}
"""The upper bounds of what is kept as a histogram. A row counts its own bucket only; sums have `SUM` for a bucket."""
SUM, INF = "sum", "+Inf"
LABEL_CHARS = 100

Tally = tuple[str, tuple[str, ...]]
"""A total's name and its labels' values. Each is one of few: what is configured or declared, never a resource."""


def count(connection: Connection, name: str, *labels: str, by: float = 1.0) -> None:
    """Add to one total."""
    add_up(connection, {(name, labels): by})


def add_up(connection: Connection, amounts: Mapping[Tally, float]) -> None:
    """Add to many totals."""
    rows = [
        {"name": name, "labels": _kept(labels), "value": by} for (name, labels), by in sorted(amounts.items()) if by
    ]
    if not rows:
        return
    quick.run_each(connection, _adding_up(connection.dialect.name), rows)


@cache
def _adding_up(dialect_name: str) -> Insert:
    statement = inserting(dialect_name, tallies)
    more = {"value": tallies.c.value + statement.excluded.value}
    whole: Insert = statement.on_conflict_do_update(index_elements=["name", "labels"], set_=more)
    return whole


def _kept(labels: tuple[str, ...]) -> str:
    plain = [label[:LABEL_CHARS].encode("utf-8", "replace").decode() for label in labels]
    return json.dumps(plain, ensure_ascii=False)


def observed(name: str, labels: tuple[str, ...], value: float) -> dict[Tally, float]:
    """What one observation adds to a histogram."""
    bounds = BUCKETS[name]
    place = bisect_left(bounds, value)
    bucket = f"{bounds[place]:g}" if place < len(bounds) else INF
    return {(name, (*labels, bucket)): 1.0, (name, (*labels, SUM)): max(value, 0.0)}


def heal_ended(connection: Connection, outcome: str, seconds: float) -> None:
    """A heal has ended so long after its first alert was received."""
    add_up(connection, {(OUTCOMES, (outcome,)): 1.0, **observed(HEAL_SECONDS, (outcome,), seconds)})


def read(connection: Connection) -> dict[str, dict[tuple[str, ...], float]]:
    """All totals, by name and labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for row in connection.execute(select(tallies)):
        found.setdefault(row.name, {})[tuple(json.loads(row.labels))] = row.value
    return found
