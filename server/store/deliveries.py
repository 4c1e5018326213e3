"""What each target is told: settled from the outbox, kept until it has arrived, one row a target and notice.

Delivered at least once: a process that dies between sending and writing that down sends again. So does a target that
takes a notice and answers too late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, or_, select, update

from graph.rules.notifying import Link, Listener, folded_until, room
from server.store import quick, tallies
from server.store.clocks import set_back
from server.store.rows import add, iso, moment, stamp
from server.store.schema import approvals, incidents
from server.store.telling_tables import calls, notifications

DIGEST = "digest"
WAITS = ("escalated", "waiting_approval")
EVERYBODY = "everybody in the chain was told"
MOST_IN_A_DIGEST = 20
PROBLEM_CHARS = 300

_PHASE = select(incidents.c.phase).where(incidents.c.id == bindparam("of_id"))
_HELD = (
    select(notifications.c.target, func.min(notifications.c.next_at))
    .where(notifications.c.state == "held")
    .group_by(notifications.c.target)
)
_TOLD = (
    select(notifications.c.target)
    .where(
        notifications.c.incident_id == bindparam("of_incident"),
        notifications.c.state.in_(("due", "sent", "held", "digested")),
    )
    .distinct()
)


@dataclass(frozen=True)
class Telling:
    """How people are told: who listens, the chain of those who are called, and how often is too often."""

    listeners: tuple[Listener, ...] = ()
    chain: tuple[Link, ...] = ()
    fold: timedelta = timedelta(minutes=10)
    max_per_hour: int = 60
    digest_after: timedelta = timedelta(minutes=10)
    unlimited: frozenset[str] = frozenset()
    """Targets that are no people, and are never held back."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(listener.name for listener in self.listeners)


@dataclass(frozen=True)
class Delivery:
    """One notice for one target. `folded`: how many more of its sort it stands for."""

    id: int
    incident_id: str
    event: str
    target: str
    payload: Mapping[str, Any]
    tries: int
    folded: int
    created_at: datetime


def deliver(
    connection: Connection,
    telling: Telling,
    target: str,
    payload: Mapping[str, Any],
    dedup: str,
    now: datetime,
    call_id: int | None = None,
    *,
    folds: bool = True,
) -> None:
    """Let a target be told, unless it was; what repeats within the window is told once when that is over."""
    event, incident_id, at = str(payload["event"]), str(payload["incident_id"]), stamp(now)
    table = notifications.c
    mine = (table.target == target, table.event == event)
    if connection.execute(
        select(table.id).where(*mine, table.incident_id == incident_id, table.dedup == dedup)
    ).first():
        return
    next_at = now
    # An escalation is the same only of the same incident; what flaps is the resource, in one incident after another.
    same = (
        table.incident_id == incident_id if event in ("escalated", "demoted") else table.resource == payload["resource"]
    )
    since = table.created_at > stamp(now - telling.fold)
    last = None
    if folds:
        alike = (*mine, same, since, table.state.in_(("due", "sent")))
        last = connection.execute(select(notifications).where(*alike).order_by(table.id.desc())).first()
    if last is not None and (until := folded_until(event, moment(last.sent_at or last.created_at), telling.fold, now)):
        if last.state == "due":
            values = {"payload": dict(payload), "folded": last.folded + 1, "call_id": call_id}
            connection.execute(update(notifications).where(table.id == last.id).values(**values))
            tallies.count(connection, tallies.NOTIFICATIONS, target, event, "folded")
            return
        next_at = until
    add(
        connection,
        notifications,
        incident_id=incident_id,
        resource=payload["resource"],
        event=event,
        dedup=dedup[:300],
        target=target,
        call_id=call_id,
        payload=dict(payload),
        state="due",
        folded=0,
        tries=0,
        created_at=at,
        next_at=stamp(next_at),
        problem="",
    )


def told_before(connection: Connection, incident_id: str) -> set[str]:
    """The targets that were, or are going to be, told something of an incident."""
    return {target for (target,) in quick.rows(connection, _TOLD, {"of_incident": incident_id})}


def targets_due(connection: Connection, now: datetime) -> list[str]:
    """The targets that something waits for."""
    waits = (notifications.c.state == "due", _is_due(now))
    return list(connection.execute(select(notifications.c.target).where(*waits).distinct()).scalars())


def claim(connection: Connection, telling: Telling, target: str, now: datetime, limit: int = 20) -> list[Delivery]:
    """What to send to a target now, oldest first. Beyond its hourly measure notices are held back for a digest; what
    nobody needs to be told any more is dropped."""
    table = notifications.c
    due = (table.target == target, table.state == "due", _is_due(now))
    rows = connection.execute(select(notifications).where(*due).order_by(table.id).limit(200)).all()
    hour_ago = stamp(now - timedelta(hours=1))
    counted = (table.target == target, table.state == "sent", table.event != DIGEST, table.sent_at > hour_ago)
    sent_at = [moment(at) for at in connection.execute(select(table.sent_at).where(*counted)).scalars()]
    left = room(sent_at, telling.max_per_hour, now)
    found: list[Delivery] = []
    for row in rows:
        if why := _settled_meanwhile(connection, row):
            _change(connection, row.id, state="dropped", problem=why)
            tallies.count(connection, tallies.NOTIFICATIONS, target, row.event, "dropped")
        elif row.event != DIGEST and left == 0 and target not in telling.unlimited:
            _change(connection, row.id, state="held", next_at=stamp(now))
            tallies.count(connection, tallies.NOTIFICATIONS, target, row.event, "held")
        elif len(found) < limit:
            left -= int(row.event != DIGEST)
            found.append(_delivery(row))
    return found


def sent(connection: Connection, delivery_id: int, now: datetime) -> None:
    _change(connection, delivery_id, state="sent", sent_at=stamp(now), problem="")
    _counted(connection, delivery_id, "sent")


def failed(connection: Connection, delivery_id: int, next_at: datetime | None, problem: str) -> None:
    """It did not arrive, and is tried again then; None: given up."""
    values: dict[str, Any] = {"tries": notifications.c.tries + 1, "problem": problem[:PROBLEM_CHARS]}
    values |= {"state": "gave_up"} if next_at is None else {"next_at": stamp(next_at)}
    _change(connection, delivery_id, **values)
    _counted(connection, delivery_id, "failed")
    if next_at is None:
        _counted(connection, delivery_id, "gave_up")


def postpone(connection: Connection, target: str, until: datetime) -> None:
    """A target does not take anything now: what waits for it waits on."""
    due = (notifications.c.target == target, notifications.c.state == "due", notifications.c.next_at < stamp(until))
    connection.execute(update(notifications).where(*due).values(next_at=stamp(until)))


def forget(connection: Connection, names: Sequence[str]) -> None:
    """Drop what waits for targets that are configured no more."""
    gone = (notifications.c.state.in_(("due", "held")), notifications.c.target.not_in(names))
    by = (notifications.c.target, notifications.c.event)
    many = connection.execute(select(*by, func.count()).where(*gone).group_by(*by)).all()
    connection.execute(
        update(notifications).where(*gone).values(state="dropped", problem="the target is configured no more")
    )
    tallies.add_up(connection, {(tallies.NOTIFICATIONS, (target, event, "dropped")): n for target, event, n in many})


def digests_due(connection: Connection, telling: Telling, now: datetime) -> list[str]:
    """Targets for which notices have been held back long enough."""
    waited = stamp(now - telling.digest_after)
    return [
        target for target, since in quick.rows(connection, _HELD, {}) if since <= waited or set_back(since, stamp(now))
    ]


def digest(connection: Connection, target: str, now: datetime) -> None:
    """Put all that was held back into one notice."""
    table = notifications.c
    held = (table.target == target, table.state == "held")
    rows = connection.execute(select(notifications).where(*held).order_by(table.id)).all()
    if not rows:
        return
    events: dict[str, int] = {}
    for row in rows:
        events[row.event] = events.get(row.event, 0) + 1 + row.folded
    about = select(incidents).where(incidents.c.id.in_({row.incident_id for row in rows}), incidents.c.phase.in_(WAITS))
    waiting = connection.execute(about.order_by(incidents.c.number)).all()
    payload = {
        "event": DIGEST,
        "incident_id": "",
        "number": None,
        "resource": "",
        "at": iso(stamp(now)),
        "held": sum(events.values()),
        "events": events,
        "waiting": [
            {"number": row.number, "resource": f"{row.resource_kind}/{row.resource_id}", "phase": row.phase}
            for row in waiting[:MOST_IN_A_DIGEST]
        ],
        "more_waiting": max(0, len(waiting) - MOST_IN_A_DIGEST),
    }
    connection.execute(update(notifications).where(*held).values(state="digested"))
    values = {"incident_id": "", "resource": "", "event": DIGEST, "dedup": str(rows[0].id), "target": target}
    at = {"created_at": stamp(now), "next_at": stamp(now)}
    add(connection, notifications, **values, **at, payload=payload, state="due", folded=0, tries=0, problem="")


def waiting(connection: Connection, now: float) -> list[dict[str, Any]]:
    """For metrics: how many notices wait for each target, and since when the oldest that failed to arrive does."""
    table = notifications.c
    tried = case((table.tries > 0, table.created_at))
    rows = connection.execute(
        select(table.target, func.count().label("notices"), func.min(tried).label("since"))
        .where(table.state.in_(("due", "held")))
        .group_by(table.target)
    )
    found = [(row.target, row.notices, now - row.since if row.since is not None else 0.0) for row in rows]
    return [{"target": target, "notices": many, "failing_seconds": max(age, 0.0)} for target, many, age in found]


def over(connection: Connection, call: Row[Any]) -> str:
    """Why nobody else need be called: a human has taken note, or it is no longer as it was. Empty where it goes on."""
    if call.ended_why and call.ended_why != EVERYBODY:
        return str(call.ended_why)
    phase = quick.scalar(connection, _PHASE, {"of_id": call.incident_id})
    if call.event == "approval_wanted":
        fingerprint = str(call.payload.get("plan_fingerprint", ""))
        if not _still_wanted(connection, call.incident_id, fingerprint):
            return "the plan waits for nobody any more"
        return "" if phase == "waiting_approval" else f"the incident is {phase}"
    return "" if phase == "escalated" else f"the incident is {phase}"


def _settled_meanwhile(connection: Connection, row: Row[Any]) -> str:
    """Why a notice that has not been sent is needed no more; an escalation's first is always told."""
    if row.event == "approval_wanted":
        fingerprint = str(row.payload.get("plan_fingerprint", ""))
        if fingerprint and not _still_wanted(connection, row.incident_id, fingerprint):
            return "the plan waits for nobody any more"
    if row.call_id is not None and row.payload.get("after_minutes"):
        call = connection.execute(select(calls).where(calls.c.id == row.call_id)).first()
        return over(connection, call) if call is not None else ""
    return ""


def _still_wanted(connection: Connection, incident_id: str, fingerprint: str) -> bool:
    waiting = (approvals.c.incident_id == incident_id, approvals.c.state == "waiting")
    asked = approvals.c.asked_fingerprint == fingerprint
    return connection.execute(select(approvals.c.id).where(*waiting, asked)).first() is not None


def _is_due(now: datetime) -> Any:
    """Its time has come; or the clock was set back since it was written, and then nobody knows when it will."""
    return or_(notifications.c.next_at <= stamp(now), set_back(notifications.c.created_at, stamp(now)))


def _change(connection: Connection, delivery_id: int, **values: Any) -> None:
    connection.execute(update(notifications).where(notifications.c.id == delivery_id).values(**values))


def _counted(connection: Connection, delivery_id: int, result: str) -> None:
    by = (notifications.c.target, notifications.c.event)
    if (row := connection.execute(select(*by).where(notifications.c.id == delivery_id)).first()) is not None:
        tallies.count(connection, tallies.NOTIFICATIONS, row.target, row.event, result)


def _delivery(row: Row[Any]) -> Delivery:
    at = moment(row.created_at)
    return Delivery(row.id, row.incident_id, row.event, row.target, row.payload, row.tries, row.folded, at)
