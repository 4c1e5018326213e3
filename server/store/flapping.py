"""Whether a resource flaps, by how its earlier incidents ended and came back."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from graph.ports import Hold
from graph.rules.flapping import Damping, Turn
from graph.rules.flapping import hold as held_down
from server.store import past
from server.store.rows import moment, stamp
from server.store.schema import incidents, past_heals, timeline

MOST_TURNS = 32
REOPENED = "reopened:"
"""How the timeline's keys of incidents that were opened again begin; the time follows."""


def hold(connection: Connection, damping: Damping | None, kind: str, resource_id: str, now: datetime) -> Hold | None:
    """Why a repair of what is open on this resource must wait for it to settle, or None."""
    if damping is None:
        return None
    about = (past_heals.c.resource_kind == kind, past_heals.c.resource_id == resource_id)
    # What ended longer ago than a hold and its quiet may last can't lead to this turn.
    horizon = stamp(now) - (MOST_TURNS * (damping.longest + damping.quiet)).total_seconds()
    ended = connection.execute(
        select(past_heals, incidents.c.received_at)
        .join(incidents, incidents.c.id == past_heals.c.incident_id)
        .where(*about, past_heals.c.closed_at > horizon, past_heals.c.outcome != "declined")
        .order_by(past_heals.c.closed_at.desc())
        .limit(MOST_TURNS)
    ).all()
    if not ended:
        return None
    row = connection.execute(
        select(incidents.c.id, incidents.c.received_at).where(
            incidents.c.resource_kind == kind, incidents.c.resource_id == resource_id, incidents.c.phase != "closed"
        )
    ).first()
    if row is None:
        return None
    openings = {item.incident_id: [item.received_at] for item in ended} | {row.id: [row.received_at]}
    for incident_id, key in _reopened(connection, list(openings)):
        openings[incident_id].append(float(key.removeprefix(REOPENED)))
    turns = [
        turn
        for item in ended
        for turn in _turns(sorted(openings[item.incident_id]), item.closed_at, frozenset(item.alertnames))
    ]
    opened, names = moment(max(openings[row.id])), frozenset(past.alertnames(connection, row.id))
    return held_down(opened, names, [turn for turn in turns if turn.opened < opened], damping, now)


def _reopened(connection: Connection, incident_ids: list[str]) -> list[tuple[str, str]]:
    those = (timeline.c.incident_id.in_(incident_ids), timeline.c.key.startswith(REOPENED))
    return [
        (row.incident_id, row.key)
        for row in connection.execute(select(timeline.c.incident_id, timeline.c.key).where(*those))
    ]


def _turns(opened: list[float], closed: float, names: frozenset[str]) -> list[Turn]:
    """Each opening is a turn; what was opened again had ended just before."""
    ends = [*opened[1:], closed]
    return [Turn(moment(at), moment(max(at, end)), names) for at, end in zip(opened, ends, strict=True)]
