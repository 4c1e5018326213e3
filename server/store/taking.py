"""A human takes an incident over: the healer stands back, the resource is theirs until they are done or time is up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from server.store import places, quick
from server.store.auditing import record
from server.store.notices import notice
from server.store.people_tables import takings
from server.store.rows import add, change, iso, moment, stamp, tell, upsert
from server.store.schema import alerts, approvals, incidents, leases
from server.store.who import Who

TAKEN_OVER = "taken_over"
MAY_STILL_ACT = ("effect_unknown", "rollback_failed", "own_failure", "unreadable_state")
"""Rules of outcomes after which something of ours may still be under way, or half done."""

_ACTIVE = select(takings).where(takings.c.incident_id == bindparam("of_id"), takings.c.ended_at.is_(None))
_WITHDRAW = update(approvals).where(approvals.c.incident_id == bindparam("of_id"), approvals.c.state == "waiting")
_KEEP_ONLY = leases.delete().where(leases.c.incident_id == bindparam("of_id"), leases.c.target != bindparam("own"))
_ANY_OVER = select(takings.c.id).where(takings.c.ended_at.is_(None), takings.c.until <= bindparam("now")).limit(1)


def take_over(
    connection: Connection, row: Row[Any], who: Who, minutes: float, comment: str, under_way: str, now: datetime
) -> str:
    """Give an open incident to a human for a time. `under_way`: what of ours can't be stopped, in words, or empty."""
    until = stamp(now + timedelta(minutes=minutes))
    own = f"{row.resource_kind}/{row.resource_id}"
    end(connection, row.id, now)
    values = {"by": who.name, "at": stamp(now), "until": until, "comment": comment}
    add(connection, takings, incident_id=row.id, **values)
    upsert(connection, leases, {"target": own, "incident_id": row.id}, ("target",))
    if row.phase in ("queued", "waiting", "waiting_approval"):
        # The heal runs once more, sees that it must stop, and ends.
        change(connection, row.id, phase="queued", wake_at=None, updated_at=stamp(now))
        withdraw_request(connection, row.id)
    elif row.phase != "running":
        change(connection, row.id, phase=TAKEN_OVER, updated_at=stamp(now))
    reason = f": {comment}" if comment else ""
    said = f"#{row.number} is {who.name}'s until {moment(until):%H:%M} UTC{reason}; nothing of ours will act on it"
    if under_way:
        said += f", but {under_way}"
    tell(connection, row.id, f"taken-over-by:{stamp(now)}", now, said, author=who.name)
    record(connection, who, "take_over", row.id, now, until=iso(until), comment=comment)
    return said


def active(connection: Connection, incident_id: str) -> Row[Any] | None:
    """Who has taken the incident over and is not done, whether or not their time is up."""
    return quick.first(connection, _ACTIVE, {"of_id": incident_id})


def end(connection: Connection, incident_id: str, now: datetime) -> None:
    """They are done."""
    still = (takings.c.incident_id == incident_id, takings.c.ended_at.is_(None))
    connection.execute(update(takings).where(*still).values(ended_at=stamp(now)))


def any_run_out(connection: Connection, now: datetime) -> bool:
    """Whether there is something for `run_out`."""
    return quick.first(connection, _ANY_OVER, {"now": stamp(now)}) is not None


def run_out(connection: Connection, now: datetime) -> list[str]:
    """Incidents whose human's time is up: escalated anew, or closed where nothing fires any more. Returns their ids."""
    rows = connection.execute(
        select(incidents, takings.c.by)
        .join(takings, takings.c.incident_id == incidents.c.id)
        .where(incidents.c.phase == TAKEN_OVER, takings.c.ended_at.is_(None), takings.c.until <= stamp(now))
    ).all()
    for row in rows:
        end(connection, row.id, now)
        firing = connection.execute(
            select(func.count()).where(alerts.c.incident_id == row.id, alerts.c.status == "firing")
        ).scalar_one()
        if firing:
            reason = f"the time of {row.by}, who took it over, is up, and its alerts still fire"
            change(connection, row.id, phase="escalated", updated_at=stamp(now))
            keep_only_own(connection, row, str((row.outcome or {}).get("rule", "")))
            notice(connection, row.id, "escalated", reason, now, key=f"time-is-up:{stamp(now)}")
        else:
            reason = f"the time of {row.by}, who took it over, is up; nothing fires any more"
            change(connection, row.id, phase="closed", updated_at=stamp(now))
            connection.execute(leases.delete().where(leases.c.incident_id == row.id))
            places.release(connection, row.id, now)
        tell(connection, row.id, f"time-is-up:{stamp(now)}", now, reason)
        record(connection, "self-heal", "take_over_ended", row.id, now, by=row.by)
    return [str(row.id) for row in rows]


def keep_only_own(connection: Connection, row: Row[Any], rule: str) -> None:
    """Host and cluster are free for others. What can't be proven to be over (`rule` of its outcome) keeps them."""
    if rule in MAY_STILL_ACT:
        return
    quick.run(connection, _KEEP_ONLY, {"of_id": row.id, "own": f"{row.resource_kind}/{row.resource_id}"})


def withdraw_request(connection: Connection, incident_id: str) -> None:
    """Nobody need decide any more."""
    quick.run(connection, _WITHDRAW, {"of_id": incident_id, "state": "withdrawn"})


def told(connection: Connection, incident_id: str) -> dict[str, Any] | None:
    """For the record: who has it, since when and until when."""
    row = active(connection, incident_id)
    if row is None:
        return None
    return {"by": row.by, "at": iso(row.at), "until": iso(row.until), "comment": row.comment}
