"""What people ask of the store: each a transaction, audited with who, from where and on what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from graph.records import AfterRejection, Plan
from server.store import auditing, deciding, fleet, ladder, storm_verbs
from server.store.base import StoreBase
from server.store.who import Who


class People(StoreBase):
    """Decisions, the other verbs of an operator, switches, and the log of it all."""

    async def decide(
        self,
        incident_id: str,
        decision: str,
        plan_fingerprint: str,
        by: Who | str,
        comment: str = "",
        edited: Plan | None = None,
        then: AfterRejection = "close",
    ) -> None:
        """Answer the waiting approval. Raises NotFound, Conflict."""
        now, who = self._now(), Who.of(by)
        await self._db.write(
            lambda c: deciding.decide(c, incident_id, decision, plan_fingerprint, who, comment, edited, then, now)
        )
        self._changed(incident_id)

    async def cancel(self, incident_id: str, by: Who | str) -> str:
        """Stop a heal between side effects; says what can't be stopped. Raises NotFound, Conflict."""
        now, who = self._now(), Who.of(by)

        def work(connection: Connection) -> tuple[str, list[str]]:
            storm = storm_verbs.cancel(connection, incident_id, who, now)
            return storm or (deciding.cancel(connection, incident_id, who, now), [incident_id])

        said, changed = await self._db.write(work)
        for each in changed:
            self._changed(each)
        return said

    async def release(self, incident_id: str, by: Who | str, comment: str = "") -> str:
        """Let the members of a storm go on before it is over. Raises NotFound, Conflict."""
        now, who = self._now(), Who.of(by)
        said, changed = await self._db.write(lambda c: storm_verbs.release(c, incident_id, who, comment, now))
        for each in changed:
            self._changed(each)
        return said

    async def take_over(self, incident_id: str, by: Who | str, minutes: float, comment: str = "") -> tuple[str, str]:
        """Give an incident to a human for a time: a sentence, and until when. Raises NotFound, Conflict."""
        now, who = self._now(), Who.of(by)

        def work(connection: Connection) -> tuple[str, str]:
            storm_verbs.no_storm(connection, incident_id, "taken over")
            return deciding.take_over(connection, incident_id, who, minutes, comment, now)

        said = await self._db.write(work)
        self._changed(incident_id)
        return said

    async def retry(self, incident_id: str, by: Who | str) -> None:
        """Try again what ended without success, or give back what was taken over. Raises NotFound, Conflict."""

        def work(connection: Connection) -> None:
            storm_verbs.no_storm(connection, incident_id, "retried")
            deciding.retry(connection, incident_id, Who.of(by), self._now())

        await self._db.write(work)
        self._changed(incident_id)

    async def close_incident(self, incident_id: str, by: Who | str, comment: str = "") -> None:
        """Let go of the resource. Raises NotFound, Conflict."""

        def work(connection: Connection) -> None:
            storm_verbs.no_storm(connection, incident_id, "closed")
            deciding.close(connection, incident_id, Who.of(by), comment, self._now())

        await self._db.write(work)
        self._changed(incident_id)

    async def confirm(self, incident_id: str, by: Who | str, cause: str, right: bool | None, comment: str = "") -> str:
        """Write what was found to be true. Raises NotFound, Conflict."""
        now, who = self._now(), Who.of(by)
        said = await self._db.write(lambda c: deciding.confirm(c, incident_id, who, cause, right, comment, now))
        self._changed(incident_id)
        return said

    # -- the fleet --------------------------------------------------------------------------------------

    async def pause(self, by: Who | str, reason: str, scope: str = "all", until: datetime | None = None) -> None:
        """Hold every repair within a scope that has not begun."""
        now, who = self._now(), Who.of(by)
        await self._db.write(lambda c: fleet.pause(c, who, reason, scope, until, now))

    async def resume(self, by: Who | str, scope: str = "all") -> bool:
        """Let the repairs of a scope go on. False where it was not paused."""
        now, who = self._now(), Who.of(by)
        found = await self._db.write(lambda c: fleet.resume(c, who, scope, now))
        self._changed(None)
        return found

    async def pauses(self) -> list[dict[str, Any]]:
        """What is paused now: `{"scope", "by", "reason", "at", "until"}`."""
        now = self._now()
        return await self._db.read(lambda c: fleet.all_pauses(c, now))

    async def paused(self) -> dict[str, Any] | None:
        """Who paused all repairs, why and when; None where only some are, or none."""
        return next((item for item in await self.pauses() if item["scope"] == "all"), None)

    async def fleet(self) -> dict[str, Any]:
        """What holds repairs back now, and what is leased."""
        now = self._now()
        return await self._db.read(lambda c: fleet.state(c, self._rules, now))

    async def lift(self, by: Who | str, resource_kind: str, issue_type: str, comment: str = "") -> bool:
        """Let a demoted pair be repaired by its policy again. False where it was not demoted."""
        now, who = self._now(), Who.of(by)
        found = await self._db.write(lambda c: ladder.lift(c, who, resource_kind, issue_type, comment, now))
        self._changed(None)
        return found

    async def measured(self, since: datetime) -> dict[str, Any]:
        """What the ladder is judged by: incidents ended since then, demotions in force, when each pair last fell."""

        def read(connection: Any) -> dict[str, Any]:
            return {
                "ended": list(ladder.ended_since(connection, since.timestamp())),
                "demotions": ladder.in_force(connection),
                "last_demoted": ladder.last_demoted(connection),
            }

        return await self._db.read(read)

    async def audit(
        self, limit: int = 50, cursor: int | None = None, who: str | None = None, what: str | None = None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """A page of the audit log, newest first, and the next page's cursor."""
        return await self._db.read(lambda c: auditing.entries(c, limit, cursor, who, what))

    async def note_windows(self) -> None:
        """Put the freeze windows of the settings in the audit log, where they are others than the log says."""
        now = self._now()
        await self._db.write(lambda c: fleet.note_windows(c, self._rules.freeze_windows, now))
