"""What a heal asks of a human, as it is kept: put once for each plan, answered once, and taken in once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, null, select, update

from agents.legs import WaitingForApproval
from server.store import quick
from server.store.notices import notice
from server.store.rows import add, iso, stamp
from server.store.schema import approvals, audit

_LATEST_REQUEST = select(approvals).where(approvals.c.incident_id == bindparam("of_id")).order_by(approvals.c.id.desc())
_ANSWERED = (
    update(approvals)
    .where(approvals.c.incident_id == bindparam("of_id"), approvals.c.state != "waiting")
    .values(answer=null())
)


def ask(connection: Connection, row: Row[Any], asked: WaitingForApproval, now: datetime) -> None:
    """Put the question, unless it is the one that waits already."""
    fingerprint = asked.plan.plan_fingerprint
    latest = quick.first(connection, _LATEST_REQUEST, {"of_id": row.id})
    if latest is not None and latest.state == "waiting" and latest.asked_fingerprint == fingerprint:
        return
    connection.execute(
        update(approvals)
        .where(approvals.c.incident_id == row.id, approvals.c.state == "waiting")
        .values(state="superseded")
    )
    add(
        connection,
        approvals,
        incident_id=row.id,
        asked_fingerprint=fingerprint,
        state="waiting",
        request=dict(asked.request),
        plan=asked.plan.model_dump(mode="json"),
        asked_at=stamp(now),
        expires_at=stamp(asked.expires_at),
    )
    steps = [step.rendered for step in asked.plan.steps]
    # The same plan is another question once a human has asked to try again.
    again = connection.execute(
        select(func.count()).where(audit.c.incident_id == row.id, audit.c.what == "retry")
    ).scalar_one()
    notice(
        connection,
        row.id,
        "approval_wanted",
        asked.gate.reason,
        now,
        key=f"{fingerprint}:{again}" if again else fingerprint,
        plan_fingerprint=fingerprint,
        steps=steps,
        expires_at=iso(stamp(asked.expires_at)),
    )


def answer(connection: Connection, row: Row[Any], now: datetime) -> Mapping[str, Any] | None:
    """The answer to the latest approval request: a human's, or its expiry."""
    latest = quick.first(connection, _LATEST_REQUEST, {"of_id": row.id})
    if latest is None:
        return None
    if latest.state == "waiting" and latest.expires_at <= stamp(now):
        message = f"asked {iso(latest.asked_at)}, expired {iso(latest.expires_at)}"
        answer = {
            "decisions": [{"type": "expire", "message": message}],
            "by": "self-heal",
            "plan_fingerprint": latest.asked_fingerprint,
        }
        connection.execute(update(approvals).where(approvals.c.id == latest.id).values(state="expired", answer=answer))
        return answer
    return dict(latest.answer) if latest.answer else None


def answered(connection: Connection, incident_id: str) -> None:
    """The leg has ended with the answer taken in: it must not answer a later question too."""
    quick.run(connection, _ANSWERED, {"of_id": incident_id})
