"""What SQLite itself takes for the rows of a post of 50 alerts: nothing received, parsed or decided, only written.

The product's own table, indexes, statement and durability; alerts of different resources, so that index entries fall
where a fleet's do.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from sqlalchemy import create_engine

from evals.bench.bodies import alert, instance
from server.store import quick
from server.store.bulk import insert_rows
from server.store.engine import STATEMENTS
from server.store.intake_writes import ALERT_COLUMNS, ALERT_KEY, ALERT_REPLACED
from server.store.preparing import prepare
from server.store.rows import new_id
from server.store.schema import alerts, sqlite_pragmas

Row = tuple[object, ...]


def cpu_ms_of_a_commit(folder: Path, rows: int, resources: int, commits: int) -> float:
    """Milliseconds of CPU for one of so many commits of so many rows each, in a new database in this folder."""
    kept = {"isolation_level": None, "cached_statements": STATEMENTS}
    engine = create_engine(f"sqlite:///{folder / 'rows.db'}", connect_args=kept)
    batches = _batches(rows, resources, commits)
    with engine.begin() as connection:
        prepare(connection)
    with engine.connect() as connection:
        for pragma in sqlite_pragmas():
            quick.straight(connection, pragma)
        quick.straight(connection, "PRAGMA foreign_keys=OFF")  # there are no incidents here
        began = time.process_time()
        for batch in batches:
            quick.straight(connection, "BEGIN IMMEDIATE")
            insert_rows(connection, alerts, ALERT_COLUMNS, batch, ALERT_KEY, ALERT_REPLACED)
            quick.straight(connection, "COMMIT")
        spent = time.process_time() - began
    engine.dispose()
    return spent / commits * 1000


def _batches(rows: int, resources: int, commits: int) -> list[list[Row]]:
    incidents = [new_id() for _ in range(resources)]
    body = json.dumps(alert("Bench", instance(0)))
    return [
        [_row(incidents, number, body) for number in range(first, first + rows)]
        for first in range(0, rows * commits, rows)
    ]


def _row(incidents: list[str], number: int, body: str) -> Row:
    fingerprint = hashlib.sha256(str(number).encode()).hexdigest()[:16]
    incident_id = incidents[number * 7_919 % len(incidents)]
    return incident_id, fingerprint, float(number), "firing", body, 1, 1.0, 1.0, 1.0, "it joins an open incident"
