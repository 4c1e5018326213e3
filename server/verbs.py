"""What people can ask for, the same from page, command line and HTTP: checked, done in one transaction, audited.

Each raises ApiError: 404 for what is not there, 409 where the world is not as the request supposes, 422 for bad input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from graph.records import PlanStep
from server.editing import edited_plan
from server.errors import ApiError, not_found
from server.services import Services
from server.store import Conflict, NotFound
from server.store.who import Who

_REFERENCE = re.compile(r"[0-9]{1,15}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Verbs:
    """Decide, cancel, retry, close, pause, resume."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store

    async def id_of(self, reference: str) -> str:
        """The id behind an incident's number or id."""
        found = await self._store.incident_id(reference) if _REFERENCE.fullmatch(reference) else None
        if found is None:
            raise not_found(reference)
        return found

    async def record_of(self, reference: str) -> dict[str, Any]:
        """The whole record of an incident, by number or id."""
        record = await self._store.incident(reference) if _REFERENCE.fullmatch(reference) else None
        if record is None:
            raise not_found(reference)
        return record

    async def decide(
        self,
        reference: str,
        who: Who,
        decision: str,
        plan_fingerprint: str,
        steps: Sequence[PlanStep] | None = None,
        comment: str = "",
    ) -> dict[str, Any]:
        """Answer the waiting plan. `steps` go with an edit. The answer names the fingerprint that was decided on."""
        incident_id = await self.id_of(reference)
        plan = await edited_plan(self._services, incident_id, steps, decision, who.name)
        with _explained():
            await self._store.decide(incident_id, decision, plan_fingerprint, who, comment, plan)
        fingerprint = plan.plan_fingerprint if plan else plan_fingerprint
        return {"id": incident_id, "decision": decision, "plan_fingerprint": fingerprint}

    async def cancel(self, reference: str, who: Who) -> dict[str, Any]:
        """Stop a heal between side effects; `said` tells what can't be stopped."""
        incident_id = await self.id_of(reference)
        with _explained():
            said = await self._store.cancel(incident_id, who)
        return {"id": incident_id, "said": said}

    async def retry(self, reference: str, who: Who) -> dict[str, Any]:
        """Try an incident that ended without success again."""
        incident_id = await self.id_of(reference)
        with _explained():
            await self._store.retry(incident_id, who)
        return {"id": incident_id, "said": "queued to be tried again"}

    async def close(self, reference: str, who: Who, comment: str = "") -> dict[str, Any]:
        """Close an incident that ended without success, so that it lets go of its resource."""
        incident_id = await self.id_of(reference)
        with _explained():
            await self._store.close_incident(incident_id, who, comment)
        return {"id": incident_id, "said": "closed"}

    async def pause(self, who: Who, reason: str = "") -> dict[str, Any]:
        """Hold every repair that has not begun."""
        await self._store.pause(who, reason)
        return {"paused": await self._store.paused()}

    async def resume(self, who: Who) -> dict[str, Any]:
        """Let repairs go on."""
        await self._store.resume(who)
        return {"paused": await self._store.paused()}


@contextmanager
def _explained() -> Iterator[None]:
    """Turns what the store says no with into answers."""
    try:
        yield
    except NotFound as error:
        raise ApiError(404, str(error), "id", "list them with GET /api/incidents") from error
    except Conflict as error:
        remedy = "read the incident again: its phase and waiting_for say what can be done"
        raise ApiError(409, str(error), remedy=remedy) from error
