"""What people can ask for, the same from page, command line and HTTP: checked, done in one transaction, audited.

Each raises ApiError: 404 for what is not there, 409 where the world is not as the request supposes, 422 for bad input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from graph.kind import NO_FAULT, UNKNOWN_CAUSE
from graph.records import AfterRejection, PlanStep
from graph.rules.scopes import ALL
from server.editing import editable_plan, edited_plan, previewed
from server.errors import ApiError, not_found
from server.scoping import unknown_scope
from server.services import Services
from server.settings_errors import known_instead
from server.store import Conflict, NotFound
from server.store.who import Who

_REFERENCE = re.compile(r"[0-9]{1,15}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

MIN_MINUTES, MAX_MINUTES = 1, 24 * 60


class Verbs:
    """Everything an operator can ask of the server, by incident reference (number or id) or for the fleet."""

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
        then: AfterRejection = "close",
    ) -> dict[str, Any]:
        """Answer the waiting plan: `steps` go with an edit, `then` with a rejection (close, or think again with the
        comment). The answer names the fingerprint that was decided on."""
        incident_id = await self.id_of(reference)
        plan = await edited_plan(self._services, incident_id, steps, decision, who.name)
        with _explained():
            await self._store.decide(incident_id, decision, plan_fingerprint, who, comment, plan, then)
        fingerprint = plan.plan_fingerprint if plan else plan_fingerprint
        return {"id": incident_id, "decision": decision, "plan_fingerprint": fingerprint}

    async def cancel(self, reference: str, who: Who) -> dict[str, Any]:
        """Stop a heal between side effects, or all heals of a storm; `said` tells what can't be stopped."""
        incident_id = await self.id_of(reference)
        with _explained():
            said = await self._store.cancel(incident_id, who)
        return {"id": incident_id, "said": said}

    async def release(self, reference: str, who: Who, comment: str = "") -> dict[str, Any]:
        """Let the members of a storm go on before it is over."""
        incident_id = await self.id_of(reference)
        with _explained():
            said = await self._store.release(incident_id, who, comment)
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

    async def acknowledge(self, reference: str, who: Who, comment: str = "") -> dict[str, Any]:
        """Take note of an escalation or a wanted approval, so that nobody else is called about it."""
        incident_id = await self.id_of(reference)
        with _explained():
            said = await self._store.acknowledge(incident_id, who, comment)
        return {"id": incident_id, "said": said}

    async def editable(self, reference: str) -> dict[str, Any]:
        """What may be made of the plan that waits: its steps, the actions there are with params, other remedies."""
        return await editable_plan(self._services, await self.id_of(reference))

    async def preview(self, reference: str, who: Who, steps: Sequence[PlanStep]) -> dict[str, Any]:
        """What an edit of the waiting plan would run, exactly, and its fingerprint; nothing is decided."""
        return await previewed(self._services, await self.id_of(reference), steps, who.name)

    async def take_over(self, reference: str, who: Who, minutes: float = 60, comment: str = "") -> dict[str, Any]:
        """The healer stands back for so long, and the resource stays with who asked."""
        incident_id = await self.id_of(reference)
        if not MIN_MINUTES <= minutes <= MAX_MINUTES:
            remedy = f"give {MIN_MINUTES} to {MAX_MINUTES} minutes"
            raise ApiError(422, f"minutes: {minutes:g} is no time to take it over for", "minutes", remedy)
        with _explained():
            said, until = await self._store.take_over(incident_id, who, minutes, comment)
        return {"id": incident_id, "said": said, "until": until}

    async def confirm(
        self, reference: str, who: Who, cause: str, right: bool | None = None, comment: str = ""
    ) -> dict[str, Any]:
        """What was found to be the true cause, and whether the repair was right; it counts on the ladder of trust."""
        record = await self.record_of(reference)
        kind = self._services.kinds.get(record["resource_kind"])
        known = [*(item.name for item in (kind.causes if kind else ())), NO_FAULT, UNKNOWN_CAUSE]
        if cause not in known:
            remedy = f"say what it was in the comment, with cause unknown{known_instead(cause, known)}"
            raise ApiError(422, f"cause: {cause!r:.80} is no declared cause", "cause", remedy)
        with _explained():
            said = await self._store.confirm(record["id"], who, cause, right, comment)
        return {"id": record["id"], "said": said}

    async def pause(
        self, who: Who, reason: str = "", scope: str = ALL, until: datetime | None = None
    ) -> dict[str, Any]:
        """Hold every repair within a scope that has not begun, for good or until then."""
        if problem := unknown_scope(scope, self._services.kinds, self._services.settings.resources):
            raise ApiError(422, f"scope: {problem}", "scope", "use all, kind:…, group:… or resource:Kind/id")
        if until is not None and until <= datetime.now(UTC):
            raise ApiError(422, f"until: {until.isoformat()} has passed", "until", "give a time to come, or none")
        await self._store.pause(who, reason, scope, until)
        return await self.paused()

    async def resume(self, who: Who, scope: str = ALL) -> dict[str, Any]:
        """Let the repairs of a scope go on."""
        if not await self._store.resume(who, scope) and scope != ALL:
            paused = ", ".join(item["scope"] for item in await self._store.pauses()) or "nothing"
            raise ApiError(409, f"{scope:.200} is not paused; paused is: {paused}", "scope", "name one that is paused")
        return await self.paused()

    async def paused(self) -> dict[str, Any]:
        """What is paused: all repairs (`paused`, or null), and every scope (`pauses`)."""
        return {"paused": await self._store.paused(), "pauses": await self._store.pauses()}

    async def promote(self, who: Who, resource_kind: str, issue_type: str, comment: str = "") -> dict[str, Any]:
        """Lift a demotion: from now on the policy counts again."""
        if not await self._store.lift(who, resource_kind, issue_type, comment):
            remedy = "see `selfheal policies report`: what its policy says is changed in the policies themselves"
            raise ApiError(409, f"({resource_kind:.80}, {issue_type:.80}) is not demoted", "issue_type", remedy)
        return {"said": f"({resource_kind}, {issue_type}) follows its policy again"}


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
