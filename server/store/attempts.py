"""Attempts that acted but that no node closed: only a heal that starts afresh has to be told of them.

Without them a fresh start would reuse the number of an attempt whose side effects are in the journal, and take their
results for its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from graph.records import Attempt
from server.store import quick
from server.store.recalling import story_of
from server.store.rows import attempts_of, moment, outcome_of
from server.store.schema import journal, timeline

_UNCLOSED = (
    select(journal)
    .where(journal.c.incident_id == bindparam("of_id"), journal.c.attempt > bindparam("last"))
    .order_by(journal.c.started_at)
)
_DIAGNOSES = (
    select(timeline.c.records)
    .where(timeline.c.incident_id == bindparam("of_id"), timeline.c.node == "diagnose")
    .order_by(timeline.c.at.desc())
)


def all_attempts(connection: Connection, row: Row[Any], now: datetime) -> tuple[Attempt, ...]:
    """Every attempt of an incident, the unclosed one included, oldest first."""
    closed = attempts_of(row)
    last = max((attempt.number for attempt in closed), default=0)
    found = quick.rows(connection, _UNCLOSED, {"of_id": row.id, "last": last})
    if not found:
        return closed
    unclosed = Attempt(
        number=max(item.attempt for item in found),
        suspected_cause=str(last_diagnosis(connection, row.id).get("suspected_cause", "")),
        plan_fingerprint=found[-1].plan_fingerprint,
        actions=tuple(item.action for item in found if not item.undo),
        acted=True,
        first_action_at=moment(found[0].started_at),
        why_ended=_why(row),
        rolled_back=any(item.undo for item in found),
        ended_at=now,
    )
    return (*closed, unclosed)


def _why(row: Row[Any]) -> str:
    outcome = outcome_of(row)
    if outcome is None:
        return "was interrupted"
    if outcome.status == "mitigated":
        return "held at first, then the condition came back"
    return f"ended {outcome.status}: {outcome.reason}"[:300]


def last_diagnosis(connection: Connection, incident_id: str) -> Mapping[str, Any]:
    """What was last suspected, as it was told; empty where nothing was."""
    records = quick.rows(connection, _DIAGNOSES, {"of_id": incident_id})
    told = next((told["diagnosis"] for (told,) in records if told.get("diagnosis")), None)
    return told or story_of(connection, incident_id).get("diagnosis") or {}
