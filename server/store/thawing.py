"""A compacted incident that is taken up again: its heal looks for alerts, attempts and resource in their rows.

The rest of what was compacted stays where it is, and is read from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, update

from server.store.recalling import compaction_of, full_resource, story_of
from server.store.retention_tables import compactions
from server.store.rows import change, incident_row, stamp, upsert
from server.store.schema import alerts


def thaw(connection: Connection, incident_id: str) -> None:
    """Put back into rows what was compacted; does nothing where nothing was."""
    row = compaction_of(connection, incident_id)
    if row is None or row.thawed:
        return
    story = story_of(connection, incident_id)
    change(connection, incident_id, resource=full_resource(story["resource"]), attempts=story["attempts"])
    for alert in story["alerts"]:
        upsert(connection, alerts, _row(incident_id, alert), ("incident_id", "fingerprint"))
    mine = compactions.c.incident_id == incident_id
    connection.execute(update(compactions).where(mine).values(thawed=1))


def thawed(connection: Connection, row: Row[Any]) -> Row[Any]:
    """The incident's row as it is once thawed."""
    thaw(connection, row.id)
    found = incident_row(connection, row.id)
    assert found is not None, "thawing takes nothing away"
    return found


def _row(incident_id: str, alert: Mapping[str, Any]) -> dict[str, Any]:
    body = {name: value for name, value in alert.items() if name not in ("count", "first_at", "last_at")}
    last = stamp(datetime.fromisoformat(alert["last_at"]))
    return {
        "incident_id": incident_id,
        "fingerprint": alert["fingerprint"],
        "starts_at": stamp(datetime.fromisoformat(alert["startsAt"])) if alert.get("startsAt") else None,
        "status": alert["status"],
        "body": body,
        "count": alert["count"],
        "first_at": stamp(datetime.fromisoformat(alert["first_at"])),
        "last_at": last,
        "news_at": last,
    }
