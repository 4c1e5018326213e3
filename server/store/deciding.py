"""What people decide: approve, edit, reject, cancel, retry, close, pause. Each is one transaction and is audited."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from graph.records import Approval, Plan
from server.store import past
from server.store.attempts import all_attempts
from server.store.rows import add, change, incident_row, iso, moment, stamp, tell, upsert
from server.store.schema import StoreError, approvals, audit, incidents, journal, leases, switches, timeline
from server.store.who import Who


class NotFound(StoreError):
    """No such incident."""


class Conflict(StoreError):
    """The world is not as the request supposes; the message says how it is."""


def decide(
    connection: Connection,
    incident_id: str,
    decision: str,
    plan_fingerprint: str,
    who: Who,
    comment: str,
    edited: Plan | None,
    now: datetime,
) -> None:
    """Answer the waiting approval. Raises NotFound, Conflict."""
    row = _get(connection, incident_id)
    latest = latest_request(connection, row.id)
    _still_waiting(row, latest, plan_fingerprint, now)
    assert latest is not None
    given: dict[str, Any] = {"type": decision, "message": comment}
    if edited is not None:
        steps = [step.model_dump(mode="json") for step in edited.steps]
        args = {"plan_fingerprint": edited.plan_fingerprint, "steps": steps}
        given["edited_action"] = {"name": "run_plan", "args": args}
    answer = {"decisions": [given], "by": who.name, "at": iso(stamp(now)), "plan_fingerprint": plan_fingerprint}
    connection.execute(
        update(approvals)
        .where(approvals.c.id == latest.id)
        .values(
            state="decided",
            decision=decision,
            plan_fingerprint=edited.plan_fingerprint if edited is not None else plan_fingerprint,
            decided_by=who.name,
            decided_at=stamp(now),
            comment=comment,
            answer=answer,
        )
    )
    change(connection, row.id, phase="queued", wake_at=None, wait_reason=None, updated_at=stamp(now))
    _audit(connection, who, decision, row.id, now, plan_fingerprint=plan_fingerprint, comment=comment)


def _still_waiting(row: Row[Any], latest: Row[Any] | None, plan_fingerprint: str, now: datetime) -> None:
    name = f"#{row.number}"
    if latest is not None and latest.state == "decided" and row.phase != "waiting_approval":
        raise Conflict(
            f"{name} was already decided: {latest.decision} by {latest.decided_by} at {iso(latest.decided_at)}"
        )
    if latest is not None and latest.state == "expired":
        raise Conflict(f"the approval of {name} expired at {iso(latest.expires_at)}")
    if latest is None or latest.state != "waiting" or row.phase != "waiting_approval":
        raise Conflict(f"{name} is not waiting for approval: it is {row.phase}")
    if latest.expires_at <= stamp(now):
        raise Conflict(f"the approval of {name} expired at {iso(latest.expires_at)}")
    if latest.asked_fingerprint != plan_fingerprint:
        raise Conflict(
            f"the plan of {name} is {latest.asked_fingerprint}, not {plan_fingerprint or 'given'}: look at it again"
        )


def record_approval(connection: Connection, incident_id: str, approval: Approval) -> None:
    """An approval that came through the graph itself (Studio). Idempotent."""
    known = connection.execute(
        select(approvals.c.id).where(
            approvals.c.incident_id == incident_id,
            approvals.c.plan_fingerprint == approval.plan_fingerprint,
            approvals.c.decision.in_(("approve", "edit")),
        )
    ).first()
    if known is not None:
        return
    at = stamp(approval.at)
    add(
        connection,
        approvals,
        incident_id=incident_id,
        asked_fingerprint=approval.plan_fingerprint,
        plan_fingerprint=approval.plan_fingerprint,
        state="decided",
        decision=approval.decision,
        request={},
        plan={},
        asked_at=at,
        expires_at=at,
        decided_by=approval.by,
        decided_at=at,
        comment=approval.comment,
    )
    detail = {"plan_fingerprint": approval.plan_fingerprint, "comment": approval.comment}
    _audit(connection, approval.by, approval.decision, incident_id, approval.at, **detail)


def cancel(connection: Connection, incident_id: str, who: Who, now: datetime) -> str:
    """Stop a heal between side effects; says what can't be stopped. Raises NotFound, Conflict."""
    row = _get(connection, incident_id)
    if row.phase in ("escalated", "declined", "closed"):
        raise Conflict(f"#{row.number} is {row.phase}: nothing is under way")
    under_way = connection.execute(
        select(journal).where(journal.c.incident_id == row.id, journal.c.finished_at.is_(None))
    ).first()
    values: dict[str, Any] = {"cancel_by": who.name, "updated_at": stamp(now)}
    if row.phase != "running":
        values |= {"phase": "queued", "wake_at": None}
    change(connection, row.id, **values)
    if under_way is None:
        said = f"#{row.number} stops here: no side effect is under way and none will be started"
    else:
        said = (
            f"{under_way.action} ({under_way.rendered}) is under way since {moment(under_way.started_at):%H:%M:%S} UTC "
            "and can't be stopped; nothing will follow it"
        )
    tell(connection, row.id, f"cancel:{stamp(now)}", now, f"cancel asked for: {said}", author=who.name)
    _audit(connection, who, "cancel", row.id, now, said=said)
    return said


def retry(connection: Connection, incident_id: str, who: Who, now: datetime) -> None:
    """Let a heal that ended without success start again, with what was learnt and its attempts forgiven."""
    row = _get(connection, incident_id)
    if row.phase not in ("escalated", "declined"):
        raise Conflict(f"#{row.number} is {row.phase}: only an escalated or declined incident can be tried again")
    if row.resource is None:
        raise Conflict(f"#{row.number} names no resource we know: declare it, then let the alert come again")
    tell(
        connection, row.id, f"retry:{stamp(now)}", now, "asked to try again", author=who.name, records={"outcome": None}
    )
    reopen(connection, row, now, forgive=True)
    _audit(connection, who, "retry", row.id, now)


def reopen(connection: Connection, row: Row[Any], now: datetime, *, forgive: bool = False) -> None:
    """Start the heal of an incident afresh, with its attempts so far, and keep how it ended in the timeline."""
    attempts = all_attempts(connection, row, now)
    if forgive:
        attempts = tuple(attempt.model_copy(update={"forgiven": True}) for attempt in attempts)
    told = (timeline.c.incident_id == row.id) & timeline.c.key.in_(("outcome", "closed"))
    connection.execute(update(timeline).where(told).values(key=timeline.c.key + f":{row.leg}"))
    remembered = [attempt.model_dump(mode="json") for attempt in attempts]
    cleared = {"outcome": None, "cancel_by": None, "withdrawn": 0, "failures": 0, "recheck": 0, "wake_at": None}
    change(connection, row.id, phase="queued", fresh=1, updated_at=stamp(now), attempts=remembered, **cleared)
    past.reopened(connection, row.id)


def close(connection: Connection, incident_id: str, who: Who, comment: str, now: datetime) -> None:
    """A human takes note: the incident lets go of its resource."""
    row = _get(connection, incident_id)
    if row.phase not in ("escalated", "declined"):
        raise Conflict(f"#{row.number} is {row.phase}: cancel it first, or let it end")
    change(connection, row.id, phase="closed", updated_at=stamp(now))
    past.closed(connection, row.id, comment)
    connection.execute(leases.delete().where(leases.c.incident_id == row.id))
    tell(connection, row.id, "closed", now, f"closed{f': {comment}' if comment else ''}", author=who.name)
    _audit(connection, who, "close", row.id, now, comment=comment)


def pause(connection: Connection, who: Who, reason: str, now: datetime) -> None:
    """Hold every repair that has not begun."""
    upsert(connection, switches, {"name": "pause", "by": who.name, "reason": reason, "at": stamp(now)}, ("name",))
    _audit(connection, who, "pause", None, now, reason=reason)


def resume(connection: Connection, who: Who, now: datetime) -> None:
    connection.execute(switches.delete().where(switches.c.name == "pause"))
    _audit(connection, who, "resume", None, now)


def rechecked(connection: Connection, incident_id: str, still_firing: bool, reason: str, now: datetime) -> None:
    """What Prometheus said about a firing that came again after its incident had closed."""
    row = _get(connection, incident_id)
    change(connection, incident_id, recheck=0)
    if not still_firing or row.phase != "closed":
        return
    same = (incidents.c.resource_kind == row.resource_kind) & (incidents.c.resource_id == row.resource_id)
    holding = connection.execute(select(incidents.c.number).where(same, incidents.c.phase != "closed")).scalar()
    if holding is not None:
        said = f"{reason}, but #{holding} is open on the same resource by now: it is left to that"
        tell(connection, incident_id, f"not-reopened:{stamp(now)}", now, said)
        return
    tell(connection, incident_id, f"reopened:{stamp(now)}", now, f"reopened: {reason}", records={"outcome": None})
    reopen(connection, row, now)


def latest_request(connection: Connection, incident_id: str) -> Row[Any] | None:
    """The latest approval request of an incident."""
    return connection.execute(
        select(approvals).where(approvals.c.incident_id == incident_id).order_by(approvals.c.id.desc())
    ).first()


def _get(connection: Connection, incident_id: str) -> Row[Any]:
    row = incident_row(connection, incident_id)
    if row is None:
        raise NotFound(f"no incident {incident_id!r}: see `selfheal incidents list`")
    return row


def _audit(
    connection: Connection, who: Who | str, what: str, incident_id: str | None, now: datetime, **detail: Any
) -> None:
    actor = Who.of(who)
    told = detail | actor.origin
    add(connection, audit, at=stamp(now), who=actor.name, what=what, incident_id=incident_id, detail=told)


def paused(connection: Connection) -> dict[str, Any] | None:
    """Who paused all repairs, why and when."""
    row = connection.execute(select(switches).where(switches.c.name == "pause")).first()
    return None if row is None else {"by": row.by, "reason": row.reason, "at": iso(row.at)}
