"""The ladder of trust as it is kept: pairs (kind, issue type) that lost the right to be repaired unasked, and the
record by which they may win it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, true, update

from graph.records import Outcome
from server.store import quick
from server.store.attempts import last_diagnosis
from server.store.auditing import record
from server.store.notices import notice
from server.store.people_tables import confirmations, demotions
from server.store.retention_tables import deleted_heals
from server.store.rows import iso, stamp, tell
from server.store.schema import approvals, incidents, journal
from server.store.who import Who

_DEMOTED = select(demotions).where(demotions.c.resource_kind == bindparam("of_kind"), demotions.c.lifted_at.is_(None))
_ASKED = select(approvals.c.plan_fingerprint).where(
    approvals.c.incident_id == bindparam("of_id"), approvals.c.decision.in_(("approve", "edit"))
)
_UNASKED = select(journal).where(journal.c.incident_id == bindparam("of_id"), journal.c.plan_fingerprint.not_in(_ASKED))

WRONG_REPAIR = ("made_worse", "rollback_failed")
"""Rules of outcomes that say a repair did harm."""


def demoted(connection: Connection, resource_kind: str) -> dict[str, str]:
    """Issue types of a kind that are not repaired unasked any more, each with a sentence why."""
    rows = quick.rows(connection, _DEMOTED, {"of_kind": resource_kind})
    return {row.issue_type: f"({resource_kind}, {row.issue_type}) was demoted to asking: {row.why}" for row in rows}


def in_force(connection: Connection) -> list[dict[str, Any]]:
    """The demotions that hold now, oldest first."""
    rows = connection.execute(select(demotions).where(demotions.c.lifted_at.is_(None)).order_by(demotions.c.id))
    return [
        {"resource_kind": row.resource_kind, "issue_type": row.issue_type, "at": iso(row.at), "why": row.why}
        for row in rows
    ]


def judge(connection: Connection, row: Row[Any], outcome: Outcome, now: datetime) -> None:
    """As a heal ends: where an unasked repair was rolled back or did harm, its pairs ask from now on."""
    unasked = _unasked(connection, row.id)
    undone = [item for item in unasked if item.undo]
    if undone:
        why = f"#{row.number} rolled back {', '.join(dict.fromkeys(item.action for item in undone))}"
    elif outcome.rule in WRONG_REPAIR and unasked:
        why = f"#{row.number} ended {outcome.rule.replace('_', ' ')}"
    else:
        return
    _demote(connection, row, why, now, since=max(item.started_at for item in unasked))


def found_wrong(connection: Connection, row: Row[Any], who: Who, now: datetime) -> None:
    """A human has found a repair to be wrong."""
    if unasked := _unasked(connection, row.id):
        why = f"{who.name} found the repair of #{row.number} to be wrong"
        _demote(connection, row, why, now, since=max(item.started_at for item in unasked))


def lift(connection: Connection, who: Who, resource_kind: str, issue_type: str, comment: str, now: datetime) -> bool:
    """Let a pair be repaired by its policy again. False where it was not demoted."""
    pair = (demotions.c.resource_kind == resource_kind, demotions.c.issue_type == issue_type)
    done = connection.execute(
        update(demotions).where(*pair, demotions.c.lifted_at.is_(None)).values(lifted_at=stamp(now), lifted_by=who.name)
    )
    if done.rowcount == 0:
        return False
    told = {"resource_kind": resource_kind, "issue_type": issue_type, "comment": comment}
    record(connection, who, "promote", None, now, **told)
    return True


def pairs_of(connection: Connection, row: Row[Any]) -> list[str]:
    """The issue types of an incident: alerted and diagnosed."""
    diagnosed = str(last_diagnosis(connection, row.id).get("issue_type", "unknown"))
    return sorted({*row.issue_types, diagnosed} - {"unknown"})


def _demote(connection: Connection, row: Row[Any], why: str, now: datetime, since: float) -> None:
    fallen: list[str] = []
    for issue_type in pairs_of(connection, row):
        pair = (demotions.c.resource_kind == row.resource_kind, demotions.c.issue_type == issue_type)
        in_force_now = connection.execute(select(demotions.c.id).where(*pair, demotions.c.lifted_at.is_(None))).first()
        lifted = connection.execute(select(func.max(demotions.c.lifted_at)).where(*pair)).scalar()
        if in_force_now is not None or (lifted is not None and lifted >= since):
            continue
        values = {"resource_kind": row.resource_kind, "issue_type": issue_type, "why": why}
        connection.execute(demotions.insert().values(**values, at=stamp(now), incident_id=row.id))
        record(connection, "self-heal", "demote", row.id, now, **values)
        fallen.append(issue_type)
    if not fallen:
        return
    sentence = f"from now on a human is asked about {', '.join(fallen)} of {row.resource_kind}: {why}"
    tell(connection, row.id, f"demoted:{stamp(now)}", now, sentence)
    notice(connection, row.id, "demoted", sentence, now, key=f"demoted:{stamp(now)}")


def _unasked(connection: Connection, incident_id: str) -> Sequence[Row[Any]]:
    """The side effects of an incident that nobody had approved."""
    return quick.rows(connection, _UNASKED, {"of_id": incident_id})


def ended_since(connection: Connection, since: float) -> Iterable[dict[str, Any]]:
    """What is measured of each incident that has ended since then, deleted ones too: one fact sheet an incident."""
    yield from connection.execute(select(deleted_heals.c.facts).where(deleted_heals.c.received_at >= since)).scalars()
    rows = connection.execute(
        select(incidents).where(incidents.c.received_at >= since, incidents.c.outcome.is_not(None))
    ).all()
    yield from _sheets(connection, rows)


def sheet_of(connection: Connection, row: Row[Any]) -> dict[str, Any] | None:
    """What is measured of one incident; None where its heal has not ended."""
    mine = _sheets(connection, [row], lambda table: table.c.incident_id == row.id) if row.outcome else ()
    return next(iter(mine), None)


def _sheets(
    connection: Connection, rows: Sequence[Row[Any]], among: Callable[[Any], Any] = lambda table: true()
) -> Iterable[dict[str, Any]]:
    """`among`: where to look, of each table."""

    def those(table: Any, condition: Any) -> set[str]:
        found = select(table.c.incident_id).where(condition, among(table)).distinct()
        return set(connection.execute(found).scalars())

    edited = those(approvals, approvals.c.decision == "edit")
    rejected = those(approvals, approvals.c.decision == "reject")
    approved = those(approvals, approvals.c.decision == "approve")
    undone = those(journal, journal.c.undo == 1)
    acted = those(journal, journal.c.undo == 0)
    confirmed = connection.execute(select(confirmations).where(among(confirmations)).order_by(confirmations.c.id))
    said = {row.incident_id: row for row in confirmed}
    for row in rows:
        told = said.get(row.id)
        yield {
            "resource_kind": row.resource_kind,
            "issue_types": [item for item in row.issue_types if item != "unknown"],
            "status": (row.outcome or {}).get("status"),
            "rule": (row.outcome or {}).get("rule", ""),
            "ended_at": row.updated_at,
            "acted": row.id in acted,
            "approved": row.id in approved,
            "edited": row.id in edited,
            "rejected": row.id in rejected,
            "rolled_back": row.id in undone,
            "right": None if told is None or told.right is None else bool(told.right),
        }


def last_demoted(connection: Connection) -> dict[tuple[str, str], float]:
    """When each pair was last demoted: what went well since then counts for it."""
    rows = connection.execute(
        select(demotions.c.resource_kind, demotions.c.issue_type, func.max(demotions.c.at)).group_by(
            demotions.c.resource_kind, demotions.c.issue_type
        )
    )
    return {(kind, issue_type): at for kind, issue_type, at in rows}
