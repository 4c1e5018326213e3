"""The rows that SQLite alone is measured with are as many, and as far apart, as a fleet's alerts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from evals.bench.rows_alone import cpu_ms_of_a_commit


def test_all_rows_are_written_each_of_another_alert(tmp_path: Path) -> None:
    assert cpu_ms_of_a_commit(tmp_path, rows=50, resources=10, commits=4) > 0
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        query = (
            "SELECT count(*), count(DISTINCT fingerprint), count(DISTINCT incident_id), min(length(body)) FROM alerts"
        )
        rows, alerts, incidents, body = connection.execute(query).fetchone()
    assert (rows, alerts, incidents) == (200, 200, 10)
    assert body > 300
