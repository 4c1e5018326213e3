"""Over HTTP: how much of what is kept, what is due, and clearing it away now rather than by and by."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from server.access.actor import Admin
from server.bodies import StrictRoute
from server.errors import Problem
from server.retention import Keeper
from server.services import Services

RUN_SECONDS = 8.0
"""So long at most is worked on one request; what is left then is done by the next, or by and by."""

_ANSWERS: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (401, 403, 422)}


class Run(BaseModel):
    """Whether only to say what would be done; with the operator's shared token also who asks."""

    model_config = ConfigDict(extra="forbid")

    by: str | None = Field(default=None, max_length=200)
    dry_run: bool = False


def retention_routes(services: Services) -> APIRouter:
    """The report, and the run."""
    router = APIRouter(route_class=StrictRoute, tags=["retention"], responses=_ANSWERS)

    def keeper() -> Keeper:
        """The one that heals here; a server that only takes alerts leaves the checkpoints to those that heal."""
        runtime = services.runtime
        if runtime is not None and runtime.keeper is not None:
            return runtime.keeper
        return Keeper(services.store, services.settings.retention.terms, "web")

    @router.get("/api/retention", summary="What is kept of closed incidents, how much room it takes, and what is due")
    async def report() -> dict[str, Any]:
        terms = services.settings.retention.model_dump()
        return {"terms": terms, "due": await keeper().due(), **await services.store.retention.report()}

    @router.post("/api/retention/run", summary="Clear away now what is due; audited")
    async def run(actor: Admin, body: Run | None = None) -> dict[str, Any]:
        """Of each sort how many; `more` where time was up before all was done. A dry run only counts what is due."""
        asked = body or Run()
        who = actor.who(asked.by)
        if asked.dry_run:
            return {"dry_run": True, "due": await keeper().due()}
        return {"dry_run": False, "done": await keeper().asked(who, RUN_SECONDS)}

    return router
