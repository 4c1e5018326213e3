"""The journal: begin a side effect in one transaction that checks all that must hold, and write how it ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from graph.ports import AlreadyStarted, Hold, JournalRequest, Refusal, Started
from graph.records import ActionResult, Stop
from server.store import fleet, limits, quick, storm_holding, taking, tallies
from server.store.fleet import FleetRules
from server.store.rows import add, incident_row, moment, stamp, upsert
from server.store.schema import approvals, incidents, journal, leases

PAUSED_LOOK_AGAIN = timedelta(seconds=5)
LEASED_LOOK_AGAIN = timedelta(seconds=10)

_BY_KEY = select(journal).where(journal.c.idempotency_key == bindparam("key"))
_ENDS = update(journal).where(journal.c.idempotency_key == bindparam("key"), journal.c.finished_at.is_(None))
_OWNER = select(leases.c.incident_id).where(leases.c.target == bindparam("of_target"))
_UNSETTLED = select(journal.c.action, journal.c.deadline_at).where(
    journal.c.incident_id == bindparam("of_id"),
    journal.c.attempt != bindparam("of_attempt"),
    journal.c.finished_at.is_(None),
    journal.c.deadline_at > bindparam("now"),
)
_TOLD = (incidents.c.cancel_by, incidents.c.withdrawn, incidents.c.attempts)
_STOPPED = select(*_TOLD).where(incidents.c.id == bindparam("of_id"))


def find(connection: Connection, key: str) -> AlreadyStarted | None:
    """What is known of a side effect that was begun."""
    row = quick.first(connection, _BY_KEY, {"key": key})
    return None if row is None else _begun(row)


def start(
    connection: Connection, request: JournalRequest, rules: FleetRules
) -> Started | AlreadyStarted | Hold | Refusal:
    """Begin a side effect, where nothing speaks against it."""
    if found := find(connection, request.idempotency_key):
        return found
    if against := _against(connection, request, rules):
        return against
    row = incident_row(connection, request.incident_id)
    assert row is not None, "the lease check has seen it"
    add(
        connection,
        journal,
        idempotency_key=request.idempotency_key,
        incident_id=request.incident_id,
        resource=f"{row.resource_kind}/{row.resource_id}",
        attempt=request.attempt,
        action=request.action,
        rendered=request.rendered,
        plan_fingerprint=request.plan_fingerprint,
        holder=request.holder,
        undo=int(request.undo),
        starts=1,
        started_at=stamp(request.now),
        deadline_at=stamp(request.now) + request.deadline_seconds,
        baseline=dict(request.baseline),
    )
    tallies.count(connection, tallies.ACTIONS_STARTED, request.action)
    return Started(request.now)


def restart(connection: Connection, request: JournalRequest, rules: FleetRules) -> Started | Hold | Refusal:
    """Begin anew a side effect that a probe has proven without effect."""
    if against := _against(connection, request, rules):
        return against
    key = journal.c.idempotency_key == request.idempotency_key
    done = connection.execute(
        update(journal)
        .where(key, journal.c.finished_at.is_(None))
        .values(
            starts=journal.c.starts + 1,
            holder=request.holder,
            deadline_at=stamp(request.now) + request.deadline_seconds,
            baseline=dict(request.baseline),
        )
    )
    if done.rowcount != 1:
        return Refusal("finished", f"{request.action} has ended meanwhile: another worker wrote its result")
    tallies.count(connection, tallies.ACTIONS_STARTED, request.action)
    return Started(request.now)


def finish(connection: Connection, result: ActionResult) -> None:
    """Write how it ended; the first to write is believed."""
    ended = stamp(result.finished_at) if result.finished_at else None
    values = {"result": result.model_dump(mode="json"), "finished_at": ended}
    if quick.run(connection, _ENDS, {"key": result.idempotency_key, **values}) and ended is not None:
        tallies.count(connection, tallies.ACTIONS, result.action, result.status)


def stop(connection: Connection, incident_id: str) -> Stop | None:
    """Whether people or Alertmanager have said that the heal should go no further."""
    row = quick.first(connection, _STOPPED, {"of_id": incident_id})
    if row is None:
        return None
    if row.cancel_by:
        return Stop(rule="cancelled", reason=f"cancelled by {row.cancel_by}", by=row.cancel_by)
    if (held := taking.active(connection, incident_id)) is not None:
        reason = f"taken over by {held.by} until {moment(held.until):%H:%M} UTC"
        return Stop(rule="taken_over", reason=reason + (f": {held.comment}" if held.comment else ""), by=held.by)
    if not row.withdrawn:
        return None
    closed = max((attempt["number"] for attempt in row.attempts), default=0)
    acted = connection.execute(
        select(func.count()).where(journal.c.incident_id == incident_id, journal.c.attempt > closed)
    ).scalar_one()
    return None if acted else Stop(rule="alerts_resolved", reason="all alerts resolved by themselves")


def _against(connection: Connection, request: JournalRequest, rules: FleetRules) -> Hold | Refusal | None:
    """Why the side effect must not begin now. One snapshot: the caller's transaction."""
    row = incident_row(connection, request.incident_id)
    now = stamp(request.now)
    if row is None or row.holder != request.holder or (row.lease_until or 0) <= now:
        holder = row.holder if row is not None else "nobody"
        return Refusal("lease_lost", f"the lease is held by {holder}, not by {request.holder}, or has run out")
    if not request.undo and (said := stop(connection, request.incident_id)):
        return Refusal(said.rule, said.reason)
    if isinstance(waits := fleet.held(connection, row, rules.freeze_windows, request.now), Hold):
        return waits
    if waits is not None:
        return Hold("paused", f"repairs are paused: {waits}", request.now + PAUSED_LOOK_AGAIN)
    # What takes back a repair that was begun before the storm is no repair.
    key = f"{row.resource_kind}/{row.resource_id}"
    if not request.undo and (storm := storm_holding.held(connection, rules.storms, key, request.now)):
        return storm
    if request.approval_needed and not _approved(connection, request):
        return Refusal("not_approved", f"no valid approval of plan {request.plan_fingerprint}")
    if held := _leased_to_another(connection, request) or _under_way(connection, request):
        return held
    if held := limits.reserved(connection, row, request, rules.limits, rules.max_actions_per_hour):
        return held
    for target in request.touches:
        upsert(connection, leases, {"target": target, "incident_id": request.incident_id}, ("target",))
    return None


def _leased_to_another(connection: Connection, request: JournalRequest) -> Hold | None:
    """Looked at before any is taken: to keep some while waiting for others would let two repairs wait for ever."""
    for target in request.touches:
        owner = quick.scalar(connection, _OWNER, {"of_target": target})
        if owner not in (None, request.incident_id):
            other = incident_row(connection, owner)
            number = other.number if other is not None else "?"
            return Hold("leased", f"{target} is held by incident #{number}", request.now + LEASED_LOOK_AGAIN)
    return None


def _under_way(connection: Connection, request: JournalRequest) -> Hold | None:
    """A step of another attempt that may still run: one whose worker died before the heal was begun afresh."""
    of = {"of_id": request.incident_id, "of_attempt": request.attempt, "now": stamp(request.now)}
    row = quick.first(connection, _UNSETTLED, of)
    if row is None:
        return None
    return Hold("unsettled", f"{row.action}, begun before, may still be under way", moment(row.deadline_at))


def _approved(connection: Connection, request: JournalRequest) -> bool:
    found = connection.execute(
        select(func.count()).where(
            approvals.c.incident_id == request.incident_id,
            approvals.c.plan_fingerprint == request.plan_fingerprint,
            approvals.c.decision.in_(("approve", "edit")),
        )
    ).scalar_one()
    return bool(found)


def _begun(row: Row[Any]) -> AlreadyStarted:
    # Of what was compacted, only how it ended is left in the row.
    known = {"idempotency_key": row.idempotency_key, "action": row.action, "step": 0}
    result = ActionResult.model_validate(known | row.result) if row.result else None
    return AlreadyStarted(moment(row.started_at), moment(row.deadline_at), row.baseline, result, row.plan_fingerprint)
