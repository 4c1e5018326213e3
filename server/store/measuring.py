"""How much room incidents take: the lengths of what is in their rows, of whichever table."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Table, select

from server.store.schema import metadata

EVIDENCE = frozenset({"evidence_raw", "evidence_packs", "plots"})
"""What expires by itself, and is counted by itself."""
NUMBER_BYTES = 8


def tables_of_incidents() -> list[Table]:
    """Every table with a column that names an incident, however young the table is."""
    return [table for table in metadata.sorted_tables if "incident_id" in table.c]


def bytes_of(connection: Connection, incident_id: str) -> int:
    """Of all rows of an incident, beside its evidence."""
    return sum(by_table(connection, incident_id).values())


def by_table(connection: Connection, incident_id: str, evidence: bool = False) -> dict[str, int]:
    """Of all rows of an incident, by table: those of its evidence, or all others."""
    wanted = [table for table in tables_of_incidents() if (table.name in EVIDENCE) == evidence]
    queries = {table.name: select(table).where(table.c.incident_id == incident_id) for table in wanted}
    if not evidence:
        incidents = metadata.tables["incidents"]
        queries["incidents"] = select(incidents).where(incidents.c.id == incident_id)
    found = {
        name: sum(_length(value) for row in connection.execute(query) for value in row)
        for name, query in queries.items()
    }
    return {name: number for name, number in found.items() if number}


def _length(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, bool | int | float):
        return NUMBER_BYTES
    if isinstance(value, bytes):
        return len(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return len(text.encode("utf-8", "surrogatepass"))
