"""Calls of humans: who is told at once, who next when nobody takes note, and taking note.

What is decided here is decided in the writer's transaction, so that nobody is called after it was acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from graph.kind import STORM
from graph.rules.notifying import CALLS, Link, chain_done, due_links, listeners_of
from server.store import notices, quick
from server.store.auditing import record
from server.store.deciding import Conflict, NotFound
from server.store.deliveries import EVERYBODY, Telling, deliver, digest, digests_due, forget, over, told_before
from server.store.rows import add, incident_row, iso, moment, stamp, tell
from server.store.schema import incidents
from server.store.storm_tables import storm_members, storms
from server.store.telling_tables import acknowledgements, calls
from server.store.who import Who

About = tuple[str, str | None]
"""A kind of resource, and a group where it is of one."""
SETTLED_AT_ONCE = 3
"""Notices in one transaction: a hundred that escalate together must not keep alerts waiting."""
CALLED_PHASES = ("escalated", "waiting_approval")

_OPEN = select(calls).where(calls.c.ended_at.is_(None)).order_by(calls.c.id)
_CHANGE = update(calls).where(calls.c.id == bindparam("of_id"))


def waits(connection: Connection, telling: Telling, now: datetime) -> bool:
    """Whether there is anything to settle: news, a link that is due, a digest."""
    if notices.due(connection, now, 1) or digests_due(connection, telling, now):
        return True
    return any(_moves(telling, call, now) for call in _open(connection))


def settle(connection: Connection, telling: Telling, now: datetime) -> list[Mapping[str, Any]]:
    """Settle who is told what is new, whom a chain calls next, and which digests go out. Returns what is new, a few at
    a time."""
    new = []
    for item in notices.due(connection, now, SETTLED_AT_ONCE):
        if notices.settled(connection, item.id, now):
            _fan_out(connection, telling, item.payload, f"outbox:{item.id}", now)
            new.append(item.payload)
    for call in _open(connection):
        if _moves(telling, call, now):
            _advance(connection, telling, call, now)
    for target in digests_due(connection, telling, now):
        digest(connection, target, now)
    forget(connection, telling.names)
    return new


def acknowledge(connection: Connection, incident_id: str, who: Who, comment: str, now: datetime) -> str:
    """A human has taken note: nobody else is called. Raises NotFound, Conflict where nobody was called."""
    row = incident_row(connection, incident_id)
    if row is None:
        raise NotFound(f"no incident {incident_id!r}: see `selfheal incidents list`")
    if row.phase not in CALLED_PHASES:
        raise Conflict(f"#{row.number} is {row.phase}: nobody is being called about it")
    call = _latest(connection, row.id)
    before = _of_call(connection, row.id, call)
    values = {"incident_id": row.id, "call_id": call.id if call else 0, "by": who.name, "at": stamp(now)}
    add(connection, acknowledgements, **values, comment=comment)
    still = (calls.c.incident_id == row.id, calls.c.ended_why.is_(None))
    ended = f"{who.name} has taken note"
    told_all = (calls.c.incident_id == row.id, calls.c.ended_why == EVERYBODY)
    for those in (still, told_all):
        connection.execute(update(calls).where(*those).values(ended_at=stamp(now), ended_why=ended))
    said = f"{who.name} has taken note of #{row.number}: nobody else is called"
    if before is not None:
        said += f"; {before.by} had at {iso(before.at)}"
    if comment:
        said += f": {comment}"
    tell(connection, row.id, f"acknowledged:{stamp(now)}", now, said, author=who.name)
    record(connection, who, "acknowledge", row.id, now, comment=comment)
    return said


def acknowledged(connection: Connection, incident_id: str) -> dict[str, Any] | None:
    """For the record: who has taken note of the latest call, or None."""
    found = _of_call(connection, incident_id, _latest(connection, incident_id))
    return None if found is None else {"by": found.by, "at": iso(found.at), "comment": found.comment}


def _fan_out(connection: Connection, telling: Telling, payload: Mapping[str, Any], key: str, now: datetime) -> None:
    event, incident_id = str(payload["event"]), str(payload["incident_id"])
    row = incident_row(connection, incident_id)
    if row is None:
        return
    dedup = str(payload.get("key") or key)
    call = notices.call_of(connection, incident_id, event, dedup) if event in CALLS else None
    call_id = call.id if call is not None else None
    before, abouts = told_before(connection, incident_id), _abouts(connection, row)
    found = [listeners_of(telling.listeners, event, *about, telling.chain, before) for about in abouts]
    for name in dict.fromkeys(name for names in found for name in names):
        deliver(connection, telling, name, payload, dedup, now, call_id)
    if event not in CALLS:
        return
    # Whoever is called at once is called in any case; later links only if it goes on.
    at_once = [link for link in telling.chain if link.after_minutes == 0]
    for link in at_once:
        for name in _those(telling, link, event, abouts):
            deliver(connection, telling, name, payload, dedup, now, call_id)
    if call is not None:
        told = [link.after_minutes for link in at_once]
        quick.run(connection, _CHANGE, {"of_id": call.id, "told": told})


def _advance(connection: Connection, telling: Telling, call: Row[Any], now: datetime) -> None:
    if why := over(connection, call):
        quick.run(connection, _CHANGE, {"of_id": call.id, "ended_at": stamp(now), "ended_why": why})
        return
    row = incident_row(connection, call.incident_id)
    assert row is not None, "a call is about an incident there is"
    told = list(call.told)
    for link in due_links(telling.chain, moment(call.at), False, told, now):
        told.append(link.after_minutes)
        payload = {**call.payload, "after_minutes": link.after_minutes}
        names = _those(telling, link, call.event, _abouts(connection, row))
        for name in names:
            dedup = f"{call.key}@{link.after_minutes:g}"
            deliver(connection, telling, name, payload, dedup, now, call.id, folds=False)
        if names:
            said = f"nobody has taken note for {link.after_minutes:g} min: {', '.join(names)} is told"
            tell(connection, call.incident_id, f"called:{call.id}:{link.after_minutes:g}", now, said)
    values: dict[str, Any] = {"told": told}
    if chain_done(telling.chain, told):
        values |= {"ended_at": stamp(now), "ended_why": EVERYBODY}
    quick.run(connection, _CHANGE, {"of_id": call.id, **values})


def _moves(telling: Telling, call: Row[Any], now: datetime) -> bool:
    links = due_links(telling.chain, moment(call.at), False, call.told, now)
    return bool(links) or chain_done(telling.chain, call.told)


def _those(telling: Telling, link: Link, event: str, abouts: Iterable[About]) -> list[str]:
    those = [listener for listener in telling.listeners if listener.name in link.to]
    return [one.name for one in those if event in one.events and any(one.concerns(*about) for about in abouts)]


def _abouts(connection: Connection, row: Row[Any]) -> list[About]:
    """What kind and group an incident is of; a storm is of all its members'."""
    if row.resource_kind != STORM:
        return [_about(row)]
    rows = connection.execute(
        select(incidents)
        .join(storm_members, storm_members.c.incident_id == incidents.c.id)
        .join(storms, storms.c.id == storm_members.c.storm_id)
        .where(storms.c.incident_id == row.id)
    )
    return list(dict.fromkeys(map(_about, rows)))


def _about(row: Row[Any]) -> About:
    group = (row.resource or {}).get("group")
    return str(row.resource_kind), str(group) if group else None


def _open(connection: Connection) -> list[Row[Any]]:
    return list(quick.rows(connection, _OPEN, {}))


def _latest(connection: Connection, incident_id: str) -> Row[Any] | None:
    mine = calls.c.incident_id == incident_id
    return connection.execute(select(calls).where(mine).order_by(calls.c.id.desc())).first()


def _of_call(connection: Connection, incident_id: str, call: Row[Any] | None) -> Row[Any] | None:
    mine = (acknowledgements.c.incident_id == incident_id, acknowledgements.c.call_id == (call.id if call else 0))
    return connection.execute(select(acknowledgements).where(*mine).order_by(acknowledgements.c.id.desc())).first()
