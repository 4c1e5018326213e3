"""The fleet over HTTP: what holds repairs back, the switches for it, how far each repair is trusted, the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from graph.rules.scopes import ALL
from server.access.actor import Admin, Approver
from server.bodies import StrictRoute
from server.errors import Problem
from server.ladder import report
from server.services import Services
from server.verbs import Verbs

_ANSWERS: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (401, 403, 409, 422)}


class Resume(BaseModel):
    """Which repairs go on: `all`, `kind:Instance`, `group:web` or `resource:Instance/inst-abc123`."""

    model_config = ConfigDict(extra="forbid")

    by: str | None = Field(default=None, max_length=200)
    reason: str = Field(default="", max_length=2000)
    scope: str = Field(default=ALL, max_length=3300)


class Pause(Resume):
    """Which repairs wait, why, and until when (for good where it is not given)."""

    until: AwareDatetime | None = None


class Pair(BaseModel):
    """A pair of the ladder, and why it is trusted again."""

    model_config = ConfigDict(extra="forbid")

    by: str | None = Field(default=None, max_length=200)
    resource_kind: str = Field(max_length=200)
    issue_type: str = Field(max_length=50)
    comment: str = Field(default="", max_length=2000)


def fleet_routes(services: Services) -> APIRouter:
    """Pause and resume, the fleet at a glance, the ladder of trust, the audit log."""
    router = APIRouter(route_class=StrictRoute, tags=["fleet"], responses=_ANSWERS)
    verbs = Verbs(services)

    @router.get(
        "/api/fleet",
        summary="What holds repairs back now (storms, pauses, budgets and all the rest), and who holds what",
    )
    async def fleet() -> dict[str, Any]:
        return await services.fleet()

    @router.get("/api/pause", summary="Who paused all repairs, or null; and every scope that is paused")
    async def paused() -> dict[str, Any]:
        return await verbs.paused()

    @router.post("/api/pause", summary="Hold every repair (of a scope) that has not begun; diagnosis goes on")
    async def pause(actor: Approver, body: Pause | None = None) -> dict[str, Any]:
        asked = body or Pause()
        return await verbs.pause(actor.who(asked.by), asked.reason, asked.scope, asked.until)

    @router.post("/api/resume", summary="Let repairs (of a scope) go on")
    async def resume(actor: Approver, body: Resume | None = None) -> dict[str, Any]:
        asked = body or Resume()
        return await verbs.resume(actor.who(asked.by), asked.scope)

    @router.get("/api/policies/report", summary="The ladder of trust: what is measured of each pair, and what it earns")
    async def policies_report(days: Annotated[int, Query(ge=1, le=3650)] = 90) -> dict[str, Any]:
        measured = await services.store.measured(datetime.now(UTC) - timedelta(days=days))
        return {"days": days, "pairs": report(services.policies, measured)}

    @router.post("/api/policies/promote", summary="Lift a demotion: the pair follows its policy again")
    async def promote(actor: Admin, body: Pair) -> dict[str, Any]:
        return await verbs.promote(actor.who(body.by), body.resource_kind, body.issue_type, body.comment)

    @router.get("/api/audit", summary="Who did what, when, from where, on what; newest first")
    async def audit(
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[int | None, Query(ge=1, le=2**53)] = None,
        who: Annotated[str | None, Query(max_length=200)] = None,
        what: Annotated[str | None, Query(max_length=100)] = None,
    ) -> dict[str, Any]:
        entries, next_cursor = await services.store.audit(limit, cursor, who, what)
        return {"entries": entries, "next_cursor": next_cursor}

    return router
