"""What a node tells, in one transaction with what follows from it."""

from __future__ import annotations

from sqlalchemy import Connection

from graph.ports import Entry
from server.store import places, takeover
from server.store.rows import change, stamp, tell


def told(connection: Connection, entry: Entry) -> None:
    """Write an entry of the timeline; attempts it closes are remembered, and give their places back."""
    key = entry.key or f"{entry.node}:{stamp(entry.at)}"
    by = {"node": entry.node, "author": entry.author}
    tell(connection, entry.incident_id, key, entry.at, entry.sentence, records=entry.records, **by)
    # A node has told something: the thread is begun afresh, and from now on is to be resumed.
    takeover.begun_afresh(connection, entry.incident_id)
    if "attempts" in entry.records:
        attempts = entry.records["attempts"]
        change(connection, entry.incident_id, attempts=attempts)
        places.attempt_ended(connection, entry.incident_id, attempts, entry.at)
