"""What people decide: approve, edit, reject, cancel, retry, close, pause. Each is one transaction and is audited."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from graph.records import AfterRejection, Approval, Plan
from server.store import cooling, ladder, past, places, taking
from server.store.attempts import all_attempts
from server.store.auditing import record
from server.store.legs import NEWS
from server.store.people_tables import confirmations
from server.store.rows import add, change, incident_row, iso, moment, stamp, tell
from server.store.schema import StoreError, approvals, incidents, journal, leases, timeline
from server.store.thawing import thawed
from server.store.who import Who

ENDED = ("escalated", "declined", "taken_over")
"""Phases of incidents whose heal has ended but that keep their resource."""


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
    then: AfterRejection,
    now: datetime,
) -> None:
    """Answer the waiting approval. Raises NotFound, Conflict."""
    row = _get(connection, incident_id)
    latest = latest_request(connection, row.id)
    _still_waiting(connection, row, latest, plan_fingerprint, now)
    assert latest is not None
    given: dict[str, Any] = {"type": decision, "message": comment}
    if decision == "reject":
        given["then"] = then
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
    detail: dict[str, Any] = {"plan_fingerprint": plan_fingerprint, "comment": comment}
    if edited is not None:
        detail["edited_fingerprint"] = edited.plan_fingerprint
    if decision == "reject":
        detail["then"] = then
    record(connection, who, decision, row.id, now, **detail)


def _still_waiting(
    connection: Connection, row: Row[Any], latest: Row[Any] | None, plan_fingerprint: str, now: datetime
) -> None:
    name = f"#{row.number}"
    if latest is not None and latest.state == "decided" and row.phase != "waiting_approval":
        raise Conflict(
            f"{name} was already decided: {latest.decision} by {latest.decided_by} at {iso(latest.decided_at)}"
        )
    if latest is not None and latest.state == "expired":
        raise Conflict(f"the approval of {name} expired at {iso(latest.expires_at)}")
    if (held := taking.active(connection, row.id)) is not None:
        raise Conflict(f"{name} was taken over by {held.by} until {iso(held.until)}")
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
    record(connection, approval.by, approval.decision, incident_id, approval.at, **detail)


def cancel(connection: Connection, incident_id: str, who: Who, now: datetime) -> str:
    """Stop a heal between side effects; says what can't be stopped. Raises NotFound, Conflict."""
    row = _get(connection, incident_id)
    if row.phase in (*ENDED, "closed"):
        raise Conflict(f"#{row.number} is {row.phase}: nothing is under way")
    under_way = _under_way(connection, row.id)
    values: dict[str, Any] = {"cancel_by": who.name, "updated_at": stamp(now)}
    if row.phase != "running":
        values |= {"phase": "queued", "wake_at": None}
    change(connection, row.id, **values)
    if under_way:
        said = f"{under_way}; nothing will follow it"
    else:
        said = f"#{row.number} stops here: no side effect is under way and none will be started"
    tell(connection, row.id, f"cancel:{stamp(now)}", now, f"cancel asked for: {said}", author=who.name)
    record(connection, who, "cancel", row.id, now, said=said)
    return said


def take_over(
    connection: Connection, incident_id: str, who: Who, minutes: float, comment: str, now: datetime
) -> tuple[str, str]:
    """Give an incident to a human for a time: what is to be told, and until when. Raises NotFound, Conflict."""
    row = _get(connection, incident_id)
    if row.phase == "closed":
        raise Conflict(f"#{row.number} is closed: there is nothing to take over")
    held = taking.active(connection, row.id)
    if held is not None and held.by != who.name and held.until > stamp(now):
        raise Conflict(
            f"#{row.number} was taken over by {held.by} until {iso(held.until)}: "
            "they can close it, or give it back with retry"
        )
    own = f"{row.resource_kind}/{row.resource_id}"
    if (other := _leased_by_another(connection, row.id, own)) is not None:
        raise Conflict(f"{own} is held by a repair of #{other}: take that one over, or wait for its end")
    said = taking.take_over(connection, row, who, minutes, comment, _under_way(connection, row.id), now)
    until = taking.active(connection, row.id)
    return said, str(iso(until.until if until is not None else None))


def confirm(
    connection: Connection, incident_id: str, who: Who, cause: str, right: bool | None, comment: str, now: datetime
) -> str:
    """Write what a human found to be true of an incident that has ended. Raises NotFound, Conflict."""
    row = _get(connection, incident_id)
    if row.outcome is None:
        raise Conflict(f"#{row.number} is {row.phase}: what was true is said once its heal has ended")
    judged = None if right is None else int(right)
    values = {"incident_id": row.id, "by": who.name, "at": stamp(now), "cause": cause, "comment": comment}
    connection.execute(confirmations.insert().values(**values, right=judged))
    repair = {None: "", True: "; the repair was right", False: "; the repair was wrong"}[right]
    said = f"the cause was {cause}{repair}" + (f": {comment}" if comment else "")
    tell(connection, row.id, f"confirmed:{stamp(now)}", now, said, author=who.name)
    record(connection, who, "confirm", row.id, now, cause=cause, right=right, comment=comment)
    past.said(connection, row.id, f"{who.name} confirmed: {said}")
    if right is False:
        ladder.found_wrong(connection, row, who, now)
    return said


def _leased_by_another(connection: Connection, incident_id: str, target: str) -> int | None:
    """The number of the incident that holds the lease of a target, where it is another one."""
    return connection.execute(
        select(incidents.c.number)
        .join(leases, leases.c.incident_id == incidents.c.id)
        .where(leases.c.target == target, leases.c.incident_id != incident_id)
    ).scalar()


def _under_way(connection: Connection, incident_id: str) -> str:
    """The side effect that can't be stopped any more, in words; empty where there is none."""
    found = connection.execute(
        select(journal).where(journal.c.incident_id == incident_id, journal.c.finished_at.is_(None))
    ).first()
    if found is None:
        return ""
    since = f"{moment(found.started_at):%H:%M:%S} UTC"
    return f"{found.action} ({found.rendered}) is under way since {since} and can't be stopped"


def retry(connection: Connection, incident_id: str, who: Who, now: datetime) -> None:
    """Let a heal that ended without success start again, with what was learnt and its attempts forgiven."""
    row = _get(connection, incident_id)
    if cooling.lift(connection, row):
        said = "asked to try now: the time in which nothing is done after an escalation is over"
        tell(connection, row.id, f"retry:{stamp(now)}", now, said, author=who.name)
        change(connection, row.id, wake_at=stamp(now), updated_at=stamp(now))
        record(connection, who, "retry", row.id, now)
        return
    if row.phase not in ENDED:
        raise Conflict(f"#{row.number} is {row.phase}: only what ended without success, or was taken over, is retried")
    if row.resource is None:
        raise Conflict(f"#{row.number} names no resource we know: declare it, then let the alert come again")
    tell(
        connection, row.id, f"retry:{stamp(now)}", now, "asked to try again", author=who.name, records={"outcome": None}
    )
    reopen(connection, row, now, forgive=True)
    record(connection, who, "retry", row.id, now)


def reopen(connection: Connection, row: Row[Any], now: datetime, *, forgive: bool = False) -> None:
    """Start the heal of an incident afresh, with its attempts so far, and keep how it ended in the timeline."""
    row = thawed(connection, row)
    attempts = all_attempts(connection, row, now)
    if forgive:
        attempts = tuple(attempt.model_copy(update={"forgiven": True}) for attempt in attempts)
    told = (timeline.c.incident_id == row.id) & timeline.c.key.in_(("outcome", "closed"))
    connection.execute(update(timeline).where(told).values(key=timeline.c.key + f":{row.leg}"))
    remembered = [attempt.model_dump(mode="json") for attempt in attempts]
    cleared = {"outcome": None, "cancel_by": None, "withdrawn": 0, "failures": 0, "recheck": 0, "wake_at": None}
    change(connection, row.id, phase="queued", fresh=1, updated_at=stamp(now), attempts=remembered, **cleared)
    past.reopened(connection, row.id)
    places.release(connection, row.id, now)
    taking.end(connection, row.id, now)


def close(connection: Connection, incident_id: str, who: Who, comment: str, now: datetime) -> None:
    """A human takes note: the incident lets go of its resource."""
    row = _get(connection, incident_id)
    if row.phase not in ENDED:
        raise Conflict(f"#{row.number} is {row.phase}: cancel it first, or let it end")
    taking.end(connection, row.id, now)
    change(connection, row.id, phase="closed", updated_at=stamp(now))
    past.said(connection, row.id, comment)
    connection.execute(leases.delete().where(leases.c.incident_id == row.id))
    places.release(connection, row.id, now)
    tell(connection, row.id, "closed", now, f"closed{f': {comment}' if comment else ''}", author=who.name)
    record(connection, who, "close", row.id, now, comment=comment)


def rechecked(connection: Connection, incident_id: str, still_firing: bool | None, reason: str, now: datetime) -> None:
    """What Prometheus said about a firing that came again after its incident had closed. Where it can't say (None),
    what came in while the incident was being healed is looked at all the same: nobody has seen that it is over."""
    row = _get(connection, incident_id)
    change(connection, incident_id, recheck=0)
    if still_firing is None and row.recheck == NEWS:
        still_firing, reason = True, f"{reason}, which came while it was being healed"
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
