"""What the server and people ask about storms: look for them, note what came in, release one, cancel one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from graph.rules.storms import StormRules
from server.store import deciding, storm_holding, storms
from server.store.accepting import Accepted
from server.store.auditing import record
from server.store.deciding import Conflict, NotFound
from server.store.engine import Database
from server.store.folding import CANCELLED
from server.store.rows import incident_row, iso
from server.store.who import Who

RUNS = ("queued", "running", "waiting", "waiting_approval")


class Storms:
    """The part of the store that is about storms. Without rules there are none, and what there were end."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime],
        rules: StormRules | None,
        changed: Callable[[str | None], None],
    ) -> None:
        self._db = database
        self._now = now
        self._rules = rules
        self._changed = changed
        self._not_before = 0
        """The number an incident must have for a storm to be possible: what came before was looked at."""

    async def look(self) -> None:
        """Begin, go on with and end storms, as resources fail now."""
        now, rules = self._now(), self._rules
        if not await self._db.read(lambda c: storms.moves(c, storms.forecast(c, rules))):
            return
        for incident_id in await self._db.write(lambda c: storms.settle(c, storms.forecast(c, rules), now)):
            self._changed(incident_id)

    async def in_force(self) -> list[dict[str, Any]]:
        """The storms that last."""
        return await self._db.read(storm_holding.all_told)

    def noticed(self, connection: Connection, accepted: Sequence[Accepted], now: datetime) -> list[str]:
        """In the transaction that opened incidents: whether they are part of a storm, or make one. Returns the ids of
        incidents that changed. Each new incident adds one resource at most, so most need no look at all the others."""
        opened = {item.incident_id: item.number for item in accepted if item.decision == "opened" and item.incident_id}
        if self._rules is None or not opened:
            return []
        changed = storms.joined(connection, self._rules, list(opened), now)
        if max(number or 0 for number in opened.values()) < self._not_before:
            return changed
        seen = storms.forecast(connection, self._rules)
        self._not_before = storms.latest_number(connection) + seen.short_of
        return changed + storms.settle(connection, seen, now)


def release(connection: Connection, incident_id: str, who: Who, comment: str, now: datetime) -> tuple[str, list[str]]:
    """Let the members of a storm go on: a sentence, and the ids of what changed. Raises NotFound, Conflict."""
    storm = _lasting(connection, incident_id)
    why = f"released by {who.name}" + (f": {comment}" if comment else "")
    changed = storms.end(connection, storm, storms.RELEASED, f"{why}; its members go on", now, author=who.name)
    record(connection, who, "release", storm.incident_id, now, comment=comment, reason=storm.reason)
    return f"storm #{storm.number} is released: {len(changed) - 1} incidents go on", changed


def cancel(connection: Connection, incident_id: str, who: Who, now: datetime) -> tuple[str, list[str]] | None:
    """Stop the heals of all members of a storm; None where the incident is no storm. Raises Conflict."""
    row = incident_row(connection, incident_id)
    if row is None or storm_holding.of_parent(connection, row.id) is None:
        return None
    storm = _lasting(connection, incident_id)
    running = [one["number"] for one in storm_holding.members(connection, storm.id) if one["phase"] in RUNS]
    said = [deciding.cancel(connection, str(number), who, now) for number in running]
    under_way = [one for one in said if "can't be stopped" in one]
    why = f"cancelled by {who.name}: nothing of ours repairs its members"
    changed = storms.end(connection, storm, CANCELLED, why, now, author=who.name)
    record(connection, who, "cancel", storm.incident_id, now, members=running)
    stopped = f"storm #{storm.number} is cancelled: the heals of {len(running)} incidents stop"
    return "; ".join([stopped, *under_way]), changed


def no_storm(connection: Connection, incident_id: str, done: str) -> None:
    """Raises Conflict where the incident stands for a storm that lasts: its members would wait for nothing."""
    row = incident_row(connection, incident_id)
    storm = storm_holding.of_parent(connection, row.id) if row is not None else None
    if storm is not None and storm.ended_at is None:
        raise Conflict(
            f"#{storm.number} is a storm, which is not {done}: release it (its members go on) or cancel it (they stop)"
        )


def _lasting(connection: Connection, incident_id: str) -> Row[Any]:
    row = incident_row(connection, incident_id)
    if row is None:
        raise NotFound(f"no incident {incident_id!r}: see `selfheal incidents list`")
    storm = storm_holding.of_parent(connection, row.id)
    if storm is None:
        of = storm_holding.of_member(connection, row.id)
        part = f"it is part of storm #{of.number}: release that" if of is not None and of.ended_at is None else ""
        raise Conflict(f"#{row.number} is no storm" + (f"; {part}" if part else ": only storms are released"))
    if storm.ended_at is not None:
        raise Conflict(f"storm #{row.number} was over at {iso(storm.ended_at)} ({storm.ended_how})")
    return storm
