"""Compacting an incident that is over: its story in a few KiB in place of its rows, its evidence in one packed row.

What is read and compressed is not done in the write transaction, which only looks whether all is still as it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, null, select, update

from graph.records import Resource
from server.store import model_calls, reading
from server.store.measuring import bytes_of
from server.store.packing import FASTER, SMALLER, packed
from server.store.recalling import compaction_of, pack_of
from server.store.retention_tables import compactions, evidence_packs
from server.store.rows import incident_row, stamp, upsert
from server.store.schema import alerts, commands, evidence_raw, incidents, timeline
from server.store.schema import model_calls as calls
from server.store.slimming import MEASURES, left_out, story
from server.store.telling_tables import plots
from server.store.thinning import thin

GOAL_BYTES = 6_000
"""Of all rows of an incident beside its evidence. The promise is 8 KiB on the disk, where indexes and half-filled pages
come on top."""
SMALLEST_STORY = 1024


@dataclass(frozen=True)
class Compacted:
    """An incident as it will be kept. `seen`: what it must still be like, or it has changed meanwhile."""

    incident_id: str
    seen: tuple[Any, ...]
    stories: tuple[tuple[bytes, Mapping[str, int]], ...]
    """From generous to tight, each with what it leaves out."""
    pack: bytes
    whole_bytes: int


def gathered(connection: Connection, incident_id: str) -> Compacted | None:
    """Read an incident for compaction, or None where it is not closed (any more), or is compacted as it is."""
    row = incident_row(connection, incident_id)
    if row is None or row.phase != "closed" or row.recheck or _is_compacted(connection, row):
        return None
    seen = _seen(connection, row)
    record = reading.whole(connection, row.id)
    assert record is not None, "its row was just read, in the same snapshot"
    evidence = _pack(connection, row.id, record)
    kept = record | {"resource": _slim_resource(record["resource"])}
    stories = []
    for measure in MEASURES:
        told = story(kept, measure)
        stories.append((packed(told, SMALLER), left_out(kept, told)))
        if len(stories[-1][0]) <= SMALLEST_STORY:
            break
    pack = packed(evidence, FASTER)
    return Compacted(row.id, seen, tuple(stories), pack, sum(len(item["raw"]) for item in evidence["raw"].values()))


def settle(connection: Connection, found: Compacted, now: datetime) -> int | None:
    """Put the story in place of the rows. Returns how many bytes are left, beside the evidence; None where the incident
    has changed since it was read."""
    row = incident_row(connection, found.incident_id)
    if row is None or row.phase != "closed" or row.recheck or _seen(connection, row) != found.seen:
        return None
    if _is_compacted(connection, row):
        return None
    thin(connection, row)
    values: dict[str, Any] = {"attempts": [], "resource": null(), "wait_reason": None}
    connection.execute(update(incidents).where(incidents.c.id == row.id).values(**values))
    others = bytes_of(connection, row.id)
    told, missing = next((item for item in found.stories if others + len(item[0]) <= GOAL_BYTES), found.stories[-1])
    evidence = {"at": stamp(now), "whole_bytes": found.whole_bytes, "body": found.pack}
    upsert(connection, evidence_packs, {"incident_id": row.id, **evidence}, ("incident_id",))
    _write(connection, row, now, story=told, left_out=dict(missing), bytes=others + len(told))
    return others + len(told)


def given_up(connection: Connection, incident_id: str, problem: str, now: datetime) -> None:
    """It can't be compacted, as by a record of an older release: it stays whole until it is deleted or expires."""
    row = incident_row(connection, incident_id)
    if row is not None:
        _write(connection, row, now, story=b"", left_out={}, bytes=0, problem=problem[:500])


def _write(connection: Connection, row: Row[Any], now: datetime, **values: Any) -> None:
    common = {"incident_id": row.id, "at": stamp(now), "closed_at": row.updated_at, "thawed": 0, "evidence": 1}
    upsert(connection, compactions, {**common, "expired_at": None, "problem": "", **values}, ("incident_id",))


def _is_compacted(connection: Connection, row: Row[Any]) -> bool:
    compaction = compaction_of(connection, row.id)
    return compaction is not None and compaction.closed_at == row.updated_at


def _seen(connection: Connection, row: Row[Any]) -> tuple[Any, ...]:
    """What changes with anything that is written of an incident."""
    newest = [
        connection.execute(select(func.max(table.c.id)).where(table.c.incident_id == row.id)).scalar()
        for table in (timeline, alerts, commands, calls)
    ]
    raws = connection.execute(select(func.count()).where(evidence_raw.c.incident_id == row.id)).scalar()
    plot = connection.execute(select(plots.c.at).where(plots.c.incident_id == row.id)).scalar()
    return (row.updated_at, row.leg, *newest, raws, plot)


def _pack(connection: Connection, incident_id: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that expires with the evidence; what was packed before is in it."""
    compaction = compaction_of(connection, incident_id)
    before = pack_of(connection, incident_id) if compaction is not None and compaction.evidence else {}
    rows = connection.execute(select(evidence_raw).where(evidence_raw.c.incident_id == incident_id)).all()
    raws = {row.ref.partition("/")[2]: {"source": row.source, "raw": row.raw} for row in rows}
    asked, texts = model_calls.to_pack(connection, incident_id)
    plot = connection.execute(select(plots.c.at, plots.c.body).where(plots.c.incident_id == incident_id)).first()
    return {
        "evidence": record["evidence"],
        "raw": {**before.get("raw", {}), **raws},
        "commands": record["commands"],
        "calls": [*before.get("calls", ()), *asked],
        "texts": {**before.get("texts", {}), **texts},
        "plots": {"at": plot.at, "body": plot.body} if plot is not None else before.get("plots"),
    }


def _slim_resource(resource: Any) -> Any:
    """Without its defaults, losing nothing: an incident that is taken up again needs it whole."""
    return resource and Resource.model_validate(resource).model_dump(mode="json", exclude_defaults=True)
