"""Storms as they are kept: begun, joined and ended, each in one transaction, so that all processes see the same ones.

One parent incident stands for each, is escalated once, and ends with it. Members' repairs wait (`storm_holding`), and
what they would tell people is kept back (`folding`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from graph.kind import STORM
from graph.records import Outcome, Times
from graph.rules.storms import Failing, Storm, StormRules, UnderWay, Weather, weather
from server.store import storm_holding as holding
from server.store.folding import unfolded
from server.store.notices import notice, put
from server.store.rows import add, change, moment, new_id, outcome_of, stamp, tell, upsert
from server.store.schema import alerts, incidents
from server.store.storm_tables import storm_members, storms

OPEN = ("queued", "running", "waiting", "waiting_approval", "escalated", "declined", "taken_over")
CLEARED, RELEASED = "cleared", "released"
MOST_NAMED = 12
IN_ONE_QUERY = 500
_LIGHT: Sequence[Any] = (
    incidents.c.id,
    incidents.c.number,
    incidents.c.resource_kind,
    incidents.c.resource_id,
    incidents.c.phase,
)
"""Of incidents, what is read of many at every look: no JSON."""


def forecast(connection: Connection, rules: StormRules | None) -> Weather:
    """What is to be done about storms now."""
    lasting = holding.in_force(connection)
    if rules is None:
        return Weather((), {}, {row.id: "storms are looked for no more (`storms.enabled`)" for row in lasting}, 1)
    under_way = [UnderWay(row.id, holding.share_of(row), moment(row.since)) for row in lasting]
    failing = [Failing(key, tuple(began)) for key, began in _failing(connection).items()]
    return weather(failing, under_way, rules, _excused(connection))


def settle(connection: Connection, seen: Weather, now: datetime) -> list[str]:
    """Begin, go on with and end storms. Returns the ids of the incidents that changed."""
    changed: list[str] = []
    for row in holding.in_force(connection):
        if (how := seen.over.get(row.id)) is not None:
            changed += end(connection, row, CLEARED, f"it is over, and its members go on: {how}", now)
        elif (storm := seen.going.get(row.id)) is not None:
            changed += _go_on(connection, row, storm, now)
    for storm in seen.begun:
        changed += _begin(connection, storm, now)
    return changed


def moves(connection: Connection, seen: Weather) -> bool:
    """Whether what was seen changes anything of what is kept."""
    if seen.begun or seen.over:
        return True
    for row in holding.in_force(connection):
        storm = seen.going.get(row.id)
        if storm is not None and (_retold(row, storm) or storm.members - _open_keys(connection, row.id)):
            return True
    return False


def joined(connection: Connection, rules: StormRules, incident_ids: Sequence[str], now: datetime) -> list[str]:
    """Make incidents that were just opened part of the storms they belong to."""
    found: list[str] = []
    for row in holding.in_force(connection):
        keys = rules.shares.members.get(holding.share_of(row), frozenset()) - set(row.spared)
        new = [one for one in _incidents(connection, incident_ids) if _key(one) in keys]
        found += _add(connection, row, [one.id for one in new], now)
    return found


def end(
    connection: Connection, storm: Row[Any], how: str, why: str, now: datetime, author: str = "self-heal"
) -> list[str]:
    """It is over: the parent closes, members go on, and what was kept back is told where it is still true.

    Returns the ids of the incidents that changed, the parent's first.
    """
    values = {"ended_at": stamp(now), "ended_how": how}
    connection.execute(update(storms).where(storms.c.id == storm.id).values(**values))
    parent = connection.execute(select(incidents).where(incidents.c.id == storm.incident_id)).one()
    outcome = outcome_of(parent)
    assert outcome is not None, "a storm's incident is born with its outcome"
    members = _members(connection, storm.id)
    share, since = holding.share_of(storm), moment(storm.since)
    was = f"{len(members)} failed together since {since:%H:%M} UTC, all {share.in_words}; {why}"
    status = "self_resolved" if how == CLEARED else outcome.status
    times = outcome.times.model_copy(update={"closed": now})
    outcome = outcome.model_copy(update={"status": status, "reason": was, "times": times})
    told = outcome.model_dump(mode="json")
    change(connection, parent.id, phase="closed", outcome=told, updated_at=stamp(now))
    tell(connection, parent.id, f"over:{stamp(now)}", now, why, author=author, records={"outcome": told})
    for row in members:
        if row.phase != "closed":
            said = f"storm #{storm.number} is over ({how}): what waited for it goes on"
            tell(connection, row.id, f"storm-over:{storm.id}", now, said, author=author)
    _wake(connection, storm, [row.id for row in members], now)
    for payload in unfolded(connection, storm.id):
        put(connection, payload, now)
    if how == CLEARED:
        notice(connection, parent.id, "self_resolved", was, now, key=f"over:{storm.id}")
    return [parent.id, *(row.id for row in members)]


def _begin(connection: Connection, storm: Storm, now: datetime) -> list[str]:
    parent_id = new_id()
    times = Times(fired=storm.since, received=now, closed=now)
    outcome = Outcome(status="escalated", rule="storm", reason=storm.reason, times=times).model_dump(mode="json")
    at = {"received_at": stamp(now), "updated_at": stamp(now)}
    about = {"resource_kind": STORM, "resource_id": str(storm.share), "issue_types": ["unknown"], "resource": None}
    add(connection, incidents, id=parent_id, phase="escalated", outcome=outcome, attempts=[], **about, **at)
    values = {"share_kind": storm.share.kind, "share_name": storm.share.name, "spared": sorted(storm.spared)}
    times_of = {"since": stamp(storm.since), "began_at": stamp(now)}
    add(connection, storms, incident_id=parent_id, reason=storm.reason, **values, **times_of)
    row = holding.of_parent(connection, parent_id)
    assert row is not None, "just written"
    said = f"escalated to a human: {storm.reason}; their repairs wait until that clears or somebody releases them"
    tell(connection, parent_id, "outcome", now, said + _spared(storm), records={"outcome": outcome})
    members = _by_key(connection, storm.members)
    changed = _join(connection, row, members, now)
    named = [f"#{one.number} {_key(one)}" for one in members[:MOST_NAMED]]
    more = {"members": named, "more_members": max(0, len(members) - MOST_NAMED)}
    notice(connection, parent_id, "escalated", storm.reason, now, key="storm", **more)
    return [parent_id, *changed]


def _go_on(connection: Connection, row: Row[Any], storm: Storm, now: datetime) -> list[str]:
    new = storm.members - _open_keys(connection, row.id)
    changed = _join(connection, row, _by_key(connection, new), now) if new else []
    if spared := storm.spared - set(row.spared):
        changed += _spare(connection, row, spared, now)
    if not _retold(row, storm):
        return changed
    connection.execute(
        update(storms).where(storms.c.id == row.id).values(reason=storm.reason, spared=sorted(storm.spared))
    )
    parent = connection.execute(select(incidents).where(incidents.c.id == row.incident_id)).one()
    outcome = {**parent.outcome, "reason": storm.reason}
    change(connection, row.incident_id, outcome=outcome, updated_at=stamp(now))
    tell(connection, row.incident_id, "now", now, f"now: {storm.reason}{_spared(storm)}", records={"outcome": outcome})
    return [row.incident_id, *changed]


def _join(connection: Connection, storm: Row[Any], rows: Iterable[Row[Any]], now: datetime) -> list[str]:
    new = {row.id: row for row in rows}
    mine = (storm_members.c.storm_id == storm.id, storm_members.c.left_at.is_(None))
    ids = list(new)
    for begin in range(0, len(ids), IN_ONE_QUERY):
        some = storm_members.c.incident_id.in_(ids[begin : begin + IN_ONE_QUERY])
        for known in connection.execute(select(storm_members.c.incident_id).where(*mine, some)).scalars():
            del new[known]
    return _add(connection, storm, list(new), now)


def _add(connection: Connection, storm: Row[Any], incident_ids: Sequence[str], now: datetime) -> list[str]:
    for incident_id in incident_ids:
        values = {"storm_id": storm.id, "incident_id": incident_id, "joined_at": stamp(now), "left_at": None}
        upsert(connection, storm_members, values, ("storm_id", "incident_id"))
        said = f"part of {holding.why(storm)}; no repair of it begins until that clears or somebody releases it"
        tell(connection, incident_id, f"storm:{storm.id}", now, said)
    return list(incident_ids)


def _spare(connection: Connection, storm: Row[Any], keys: Iterable[str], now: datetime) -> list[str]:
    """What all others depend on fails too: its own repair goes on, and people are told of it."""
    found = [row.id for row in _members(connection, storm.id) if _key(row) in set(keys)]
    mine = (storm_members.c.storm_id == storm.id, storm_members.c.incident_id.in_(found))
    connection.execute(update(storm_members).where(*mine).values(left_at=stamp(now)))
    for incident_id in found:
        said = f"all of storm #{storm.number} depend on it: its own repair is not held any more"
        tell(connection, incident_id, f"spared:{storm.id}", now, said)
    _wake(connection, storm, found, now)
    for payload in unfolded(connection, storm.id, found):
        put(connection, payload, now)
    return found


def _wake(connection: Connection, storm: Row[Any], incident_ids: Sequence[str], now: datetime) -> None:
    """Let what waits for the storm ask its gate again."""
    waits = incidents.c.wait_reason.contains(f"storm #{storm.number}:", autoescape=True)
    for incident_id in incident_ids:
        those = (incidents.c.id == incident_id, incidents.c.phase == "waiting", waits)
        connection.execute(update(incidents).where(*those).values(wake_at=stamp(now)))


def _spared(storm: Storm) -> str:
    return (
        f"; {' and '.join(sorted(storm.spared))} is repaired all the same, as that may be the cure"
        if storm.spared
        else ""
    )


# -- reading ------------------------------------------------------------------------------------------------


def latest_number(connection: Connection) -> int:
    return int(connection.execute(select(func.max(incidents.c.number))).scalar() or 0)


def _failing(connection: Connection) -> dict[str, list[datetime]]:
    """When each firing alert of an open incident began, by resource."""
    rows = connection.execute(
        select(incidents.c.resource_kind, incidents.c.resource_id, func.coalesce(alerts.c.starts_at, alerts.c.first_at))
        .join(alerts, alerts.c.incident_id == incidents.c.id)
        .where(incidents.c.phase.in_(OPEN), alerts.c.status == "firing")
    )
    found: dict[str, list[datetime]] = {}
    for kind, resource_id, began in rows:
        found.setdefault(f"{kind}/{resource_id}", []).append(moment(began))
    return found


def _excused(connection: Connection) -> set[str]:
    """Resources whose open incidents a human has already let go of."""
    rows = connection.execute(
        select(*_LIGHT)
        .join(storm_members, storm_members.c.incident_id == incidents.c.id)
        .join(storms, storms.c.id == storm_members.c.storm_id)
        .where(incidents.c.phase.in_(OPEN), storms.c.ended_how.is_not(None), storms.c.ended_how != CLEARED)
    )
    return {_key(row) for row in rows}


def _members(connection: Connection, storm_id: int) -> Sequence[Row[Any]]:
    mine = (storm_members.c.storm_id == storm_id, storm_members.c.left_at.is_(None))
    query = select(*_LIGHT).join(storm_members, storm_members.c.incident_id == incidents.c.id).where(*mine)
    return connection.execute(query.order_by(incidents.c.number)).all()


def _open_keys(connection: Connection, storm_id: int) -> set[str]:
    return {_key(row) for row in _members(connection, storm_id) if row.phase != "closed"}


def _retold(row: Row[Any], storm: Storm) -> bool:
    return storm.reason != row.reason or storm.spared != set(row.spared)


def _by_key(connection: Connection, keys: Iterable[str]) -> list[Row[Any]]:
    """The open incidents of these resources, by number."""
    wanted = set(keys)
    rows = connection.execute(select(*_LIGHT).where(incidents.c.phase.in_(OPEN)).order_by(incidents.c.number))
    return [row for row in rows if _key(row) in wanted]


def _incidents(connection: Connection, incident_ids: Sequence[str]) -> Sequence[Row[Any]]:
    return connection.execute(select(*_LIGHT).where(incidents.c.id.in_(incident_ids))).all()


def _key(row: Row[Any]) -> str:
    return f"{row.resource_kind}/{row.resource_id}"
