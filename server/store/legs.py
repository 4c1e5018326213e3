"""Legs of heals: which may run, who runs one, and what its end means. The lease here is what guarantees one heal.

A leg belongs to its holder until `lease_until`; everything a holder writes is fenced by holder and leg number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Float, Row, and_, bindparam, func, or_, select, update

from agents.legs import Finished, LegEnd, Resting
from graph.records import Attempt, Incident, Outcome, Times
from server.store import asking, cooling, ladder, past, places, quick, taking, tallies
from server.store.attempts import all_attempts
from server.store.clocks import set_back
from server.store.fleet import FleetRules
from server.store.notices import notice
from server.store.rows import (
    change,
    incident_record,
    incident_row,
    moment,
    stamp,
    tell,
    upsert,
)
from server.store.schema import alerts, incidents, leases

BACKOFF_SECONDS = (1, 2, 4)
LEASED_LOOK_AGAIN_SECONDS = 10.0
REPEATED, NEWS = 1, 2
"""Why a closed incident is looked at again (`recheck`): what was healed fires again, or something came in meanwhile."""


@dataclass(frozen=True)
class Failed:
    """The leg ended in an error of ours."""

    error: str


@dataclass(frozen=True)
class Runnable:
    """A leg that may be started now."""

    incident_id: str
    leg: int
    resource_key: str
    kind: str


@dataclass(frozen=True)
class Leg:
    """A leg that is ours to run, as `holder`. `decision` answers the approval that was waited for."""

    number: int
    holder: str
    incident: Incident
    attempts: tuple[Attempt, ...]
    decision: Mapping[str, Any] | None
    fresh: bool


def may_run(now: Any) -> Any:
    # Of a rest that began before the clock was set back nobody knows when it ends: whoever rests looks again.
    due = or_(incidents.c.wake_at <= now, set_back(incidents.c.updated_at, now))
    return or_(
        incidents.c.phase == "queued",
        and_(incidents.c.phase.in_(("waiting", "waiting_approval")), due),
    )


_MAY_RUN = may_run(bindparam("now", type_=Float))
_RUNNABLE = (
    select(incidents.c.id, incidents.c.leg, incidents.c.resource_kind, incidents.c.resource_id)
    .where(_MAY_RUN)
    .order_by(func.coalesce(incidents.c.wake_at, incidents.c.received_at), incidents.c.number)
    .limit(bindparam("most"))
)
_ANY_RUNNABLE = select(incidents.c.id).where(_MAY_RUN).limit(1)
_ITS_LEG = select(incidents).where(incidents.c.id == bindparam("of_id"), _MAY_RUN)
_OWNER = select(leases.c.incident_id).where(leases.c.target == bindparam("of_target"))
_LET_GO = leases.delete().where(leases.c.incident_id == bindparam("of_id"))
_RESTING = incidents.c.phase.in_(("waiting", "waiting_approval"))
_NEXT_WAKE = select(func.min(incidents.c.wake_at)).where(_RESTING)
_FIRING = select(func.count()).where(alerts.c.incident_id == bindparam("of_id"), alerts.c.status == "firing")
_MINE = (incidents.c.id == bindparam("of_id"), incidents.c.holder == bindparam("of_holder"))
_RENEW = update(incidents).where(*_MINE, incidents.c.phase == "running")
_NEWS = _FIRING.where(alerts.c.news_at > bindparam("began"))


def runnable(connection: Connection, now: datetime, limit: int) -> list[Runnable]:
    """The legs that may be started, longest waiting first."""
    rows = quick.rows(connection, _RUNNABLE, {"now": stamp(now), "most": limit})
    return [Runnable(row.id, row.leg, f"{row.resource_kind}/{row.resource_id}", row.resource_kind) for row in rows]


def any_runnable(connection: Connection, now: datetime) -> bool:
    """Whether there is something for `claim`."""
    return quick.first(connection, _ANY_RUNNABLE, {"now": stamp(now)}) is not None


def next_wake(connection: Connection) -> datetime | None:
    """When the next resting heal wants to go on."""
    at = quick.scalar(connection, _NEXT_WAKE, {})
    return None if at is None else moment(at)


def begin(
    connection: Connection, incident_id: str, leg: int, holder: str, now: datetime, lease_seconds: float
) -> Leg | None:
    """Take the leg, or None where it is not (or no longer) to be had."""
    row = quick.first(connection, _ITS_LEG, {"of_id": incident_id, "now": stamp(now)})
    if row is None or row.leg != leg:
        return None
    target = f"{row.resource_kind}/{row.resource_id}"
    owner = quick.scalar(connection, _OWNER, {"of_target": target})
    if owner not in (None, incident_id):
        # A leg's number is used once: the next try, when the other may have let go, is another leg.
        wake = stamp(now) + LEASED_LOOK_AGAIN_SECONDS
        later = {"phase": "waiting", "wake_at": wake, "updated_at": stamp(now), "leg": leg + 1}
        change(connection, incident_id, wait_reason=f"{target} is held by another incident", **later)
        return None
    upsert(connection, leases, {"target": target, "incident_id": incident_id}, ("target",))
    change(
        connection,
        incident_id,
        phase="running",
        holder=holder,
        lease_until=stamp(now) + lease_seconds,
        begun_at=stamp(now),
        wake_at=None,
        wait_reason=None,
        updated_at=stamp(now),
    )
    attempts = all_attempts(connection, row, now)
    if row.fresh:
        change(connection, incident_id, attempts=[attempt.model_dump(mode="json") for attempt in attempts])
    answer = asking.answer(connection, row, now)
    return Leg(leg, holder, incident_record(connection, row), attempts, answer, bool(row.fresh))


def claim(connection: Connection, worker: str, now: datetime, lease_seconds: float, limit: int) -> list[Leg]:
    """Take some of the legs that may run, longest waiting first, for this worker. In a write transaction, which has
    the database to itself: so two workers never take the same one."""
    begun = [
        begin(connection, item.incident_id, item.leg, f"{worker}:{item.leg}", now, lease_seconds)
        for item in runnable(connection, now, limit)
    ]
    return [leg for leg in begun if leg is not None]


def renew(
    connection: Connection, leases: Sequence[tuple[str, str]], now: datetime, lease_seconds: float
) -> set[tuple[str, str]]:
    """Keep these leases, by incident and holder. Returns those that were kept: others are somebody else's by now."""
    until = {"lease_until": stamp(now) + lease_seconds}
    return {
        (incident_id, holder)
        for incident_id, holder in leases
        if quick.run(connection, _RENEW, {"of_id": incident_id, "of_holder": holder, **until}) == 1
    }


def end(
    connection: Connection,
    incident_id: str,
    leg: int,
    holder: str,
    ended: LegEnd | Failed,
    now: datetime,
    rules: FleetRules,
) -> bool:
    """Write how a leg ended; False (and nothing written) where it was taken over."""
    row = incident_row(connection, incident_id)
    if row is None or (row.holder, row.leg, row.phase) != (holder, leg, "running"):
        return False
    common = {"leg": leg + 1, "holder": None, "lease_until": None, "updated_at": stamp(now)}
    if isinstance(ended, Failed):
        _failed(connection, row, ended.error, now, common, rules)
        places.leg_ended(connection, incident_id, "", rules.limits, now)
        return True
    common |= {"failures": 0, "fresh": 0}
    asking.answered(connection, row.id)
    stopped = bool(row.cancel_by or row.withdrawn or taking.active(connection, row.id))
    if isinstance(ended, Finished):
        finish(connection, row, ended.outcome, now, common, rules)
    elif isinstance(ended, Resting):
        wake = stamp(now if stopped else ended.until)
        change(connection, incident_id, phase="waiting", wake_at=wake, wait_reason=ended.reason, **common)
    else:
        asking.ask(connection, row, ended, now)
        wake = stamp(now if stopped else ended.expires_at)
        reason = f"waiting for approval: {ended.gate.reason}"
        change(connection, incident_id, phase="waiting_approval", wake_at=wake, wait_reason=reason, **common)
    held = ended.rule if isinstance(ended, Resting) else ""
    places.leg_ended(connection, incident_id, held, rules.limits, now)
    return True


def finish(
    connection: Connection, row: Row[Any], outcome: Outcome, now: datetime, common: Mapping[str, Any], rules: FleetRules
) -> None:
    """Write the outcome. What is mitigated lets go of its resource; what needs a human keeps it."""
    still_firing = quick.scalar(connection, _FIRING, {"of_id": row.id})
    taken = taking.active(connection, row.id) is not None
    keeps = taken or (outcome.status in ("escalated", "declined") and still_firing > 0)
    change(
        connection,
        row.id,
        **common,
        phase=taking.TAKEN_OVER if taken else outcome.status if keeps else "closed",
        outcome=outcome.model_dump(mode="json"),
        wake_at=None,
        wait_reason=None,
        recheck=NEWS if not keeps and _news_since(connection, row) else 0,
    )
    past.remember(connection, row, outcome, now)
    tallies.heal_ended(connection, outcome.status, stamp(now) - row.received_at)
    taking.withdraw_request(connection, row.id)
    if not keeps:
        quick.run(connection, _LET_GO, {"of_id": row.id})
    elif not taken:
        taking.keep_only_own(connection, row, outcome.rule)
    if not keeps or outcome.rule not in taking.MAY_STILL_ACT:
        places.release(connection, row.id, now)
    if rules.demotes:
        ladder.judge(connection, row, outcome, now)
    if not taken:
        cooling.begin(connection, row, outcome, now)
        notice(connection, row.id, outcome.status, outcome.reason, now, key=f"leg:{row.leg}")


def _news_since(connection: Connection, row: Row[Any]) -> bool:
    """Whether an alert fires that came, or came again, after this leg was given its incident: nobody verified it."""
    began = row.begun_at if row.begun_at is not None else row.received_at
    return bool(quick.scalar(connection, _NEWS, {"of_id": row.id, "began": began}))


def _failed(
    connection: Connection, row: Row[Any], error: str, now: datetime, common: Mapping[str, Any], rules: FleetRules
) -> None:
    failures = row.failures + 1
    tell(connection, row.id, f"failed:{row.leg}", now, f"a step of ours failed ({failures}): {error[:500]}")
    if failures < len(BACKOFF_SECONDS) + 1:
        wake = now + timedelta(seconds=BACKOFF_SECONDS[failures - 1])
        reason = f"trying again after an error of ours: {error[:200]}"
        change(
            connection,
            row.id,
            **common,
            failures=failures,
            phase="waiting",
            wake_at=stamp(wake),
            wait_reason=reason,
        )
        return
    times = Times(received=moment(row.received_at), closed=now)
    reason = f"the heal itself failed {failures} times in a row, last: {error[:300]}"
    outcome = Outcome(status="escalated", rule="own_failure", reason=reason, times=times)
    records = {"outcome": outcome.model_dump(mode="json")}
    tell(connection, row.id, "outcome", now, f"escalated to a human: {reason}", records=records)
    finish(connection, row, outcome, now, {**common, "failures": failures}, rules)
